import { Unknown, type Check, type Finding, type Sight } from '../../src/check.js';
import type { HelmRelease } from '../../src/inventory.js';
import { some } from '../about.js';
import { outdated } from '../written.js';

/**
 * Before an upgrade Helm builds every object of the revision that it upgrades from, and stops when the server does not know one of
 * their versions; the objects themselves may long be served in another. Only that revision counts: older ones are never read again.
 *
 * @source helm/helm:pkg/action/upgrade.go (performUpgrade)
 */
export const helmReleases: Check = {
  id: 'helm-releases',
  group: 'apis',
  asks: 'Can Helm upgrade every release that moves, from the manifest that it has stored?',
  before: 'data',
  severity: 'warn',
  when: ['data'],
  reads: {},
  hint: {
    why: 'Helm keeps each release as it was rendered. Where that names a version which the target does not serve, the next upgrade there fails, although everything runs.',
    fix: 'On the source, upgrade with a chart that renders the new versions, or let `helm mapkubeapis RELEASE` rewrite what is stored; then ask again.',
  },
  zh: {
    asks: '迁移后 Helm 能否基于已保存的清单升级每个 release？',
    why: 'Helm 按渲染结果保存每个 release；其中若有目标集群不提供的 API 版本，即使应用正常运行，下一次 helm upgrade 也会失败。',
    fix: '先在源集群用渲染新版本 API 的 chart 升级，或用 helm mapkubeapis 改写已保存的清单，然后重新检查。',
  },
  sources: [
    'helm/helm:pkg/action/upgrade.go',
    'https://github.com/helm/helm-mapkubeapis',
    'https://github.com/helm/helm/issues/11120',
  ],

  look(sight) {
    const { helm } = sight.source.inventory.evidence ?? {};
    if (!helm) throw new Unknown('source: what Helm has stored was not read');
    const findings = helm.releases.flatMap((it) => ofRelease(it, sight));
    const [missed] = helm.unread;
    if (missed && findings.length === 0) throw new Unknown(`source: ${missed.what}: ${missed.why}`);
    return [
      ...findings,
      ...helm.unread.map(({ what, why }): Finding => ({
        about: what,
        severity: 'warn',
        saw: why,
        want: 'to be read',
        fix: 'Let this identity list and get Secrets and ConfigMaps there, or look for yourself with `helm get manifest`.',
      })),
    ];
  },
};

function ofRelease(release: HelmRelease, sight: Sight): Finding[] {
  const bad = release.writes.flatMap((it) => {
    const found = outdated(it, sight);
    return found ? [{ ...found, object: `${it.kind.toLowerCase()} ${it.name}` }] : [];
  });
  if (bad.length === 0) return [];
  const { name, namespace, revision, status, storedIn } = release;
  return [
    {
      about: `helm release ${namespace}/${name}`,
      saw: `${some([...new Set(bad.map((it) => `${it.saw} (${it.object})`))])}; in ${storedIn}, revision ${revision}, ${status}`,
      want: some([...new Set(bad.flatMap((it) => it.want ?? []))]) || 'none of them',
      breaks: `the next \`helm upgrade\` of release ${name} (revision ${revision}) in the target`,
      fix: `\`helm mapkubeapis ${name} -n ${namespace}\` on the source, then mend the chart. ${[...new Set(bad.map((it) => it.fix))].join(' ')}`,
    },
  ];
}
