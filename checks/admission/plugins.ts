import { Skipped, type Check, type Finding, type SideSight } from '../../src/check.js';
import { some } from '../about.js';

/**
 * Admission plug-ins and feature gates are flags of the API server. Where it runs as a pod they can be read; in a managed
 * cluster the provider keeps them to itself.
 *
 * @source https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/
 */
export const plugins: Check = {
  id: 'plugins',
  group: 'admission',
  asks: 'Do both API servers run the same admission plug-ins and feature gates?',
  before: 'data',
  severity: 'warn',
  reads: { source: ['Pod'], target: ['Pod'] },
  takes: { Pod: 'named' },
  hint: {
    why: 'A plug-in that only one side has changes or refuses objects there; a gate that only one side has gives fields a meaning there.',
    fix: 'Compare the flags; where a difference is wanted, waive it here.',
  },
  zh: {
    asks: '两个集群的 API Server 启用的准入插件和特性开关是否相同？',
    why: '只在一侧启用的插件会在那一侧修改或拒绝对象；只在一侧打开的特性开关会让字段含义不同。',
    fix: '比较启动参数；确属有意的差异可在此豁免。',
  },
  sources: [
    'https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/',
    'https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/',
  ],

  look({ source, target }) {
    const [here, there] = [flagsOf(source), flagsOf(target)];
    if (!here || !there)
      throw new Skipped(`${!here ? 'source' : 'target'}: its API server is not a pod that can be seen`);
    return FLAGS.flatMap((flag): Finding[] => {
      const [from, to] = [here.get(flag) ?? [], there.get(flag) ?? []];
      const lost = from.filter((it) => !to.includes(it));
      const added = to.filter((it) => !from.includes(it));
      if (lost.length + added.length === 0) return [];
      const saw = [
        ...(lost.length > 0 ? [`only the source has ${some(lost)}`] : []),
        ...(added.length > 0 ? [`only the target has ${some(added)}`] : []),
      ];
      return [{ about: `flag --${flag}`, saw: saw.join('; ') }];
    });
  },
};

const FLAGS = ['enable-admission-plugins', 'disable-admission-plugins', 'feature-gates'];

function flagsOf(side: SideSight): Map<string, string[]> | undefined {
  const pod = side.list('Pod', ['kube-system']).find((it) => it.metadata.labels?.['component'] === 'kube-apiserver');
  if (!pod) return undefined;
  const { command = [], args = [] }: { command?: string[]; args?: string[] } = pod['spec']?.containers?.[0] ?? {};
  return new Map(
    [...command, ...args].flatMap((word) => {
      const [, flag, value] = /^--([-a-z]+)=(.*)$/.exec(word) ?? [];
      return flag !== undefined && FLAGS.includes(flag) ? [[flag, (value ?? '').split(',').sort()] as const] : [];
    }),
  );
}
