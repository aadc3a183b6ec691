import { Skipped, Unknown, type Check, type Finding, type Sight } from '../../src/check.js';
import type { Manifests } from '../../src/inventory.js';
import { count } from '../../src/words.js';
import { some } from '../about.js';
import { outdated, servesExactly } from '../written.js';

/**
 * What is in Git is applied to the target sooner or later, and names one version of each kind. Live objects don't show it: the server
 * gives them out in every version that it has.
 *
 * @source kubernetes/website:content/en/docs/reference/using-api/deprecation-guide.md
 */
export const manifestFiles: Check = {
  id: 'manifest-files',
  group: 'apis',
  asks: 'Does the target serve every API version that the manifests of --manifests name?',
  before: 'data',
  severity: 'warn',
  reads: {},
  hint: {
    why: 'A file in a version that the target does not serve fails at the next apply, by hand, in CI or by a GitOps controller, although the object that it once made moves without trouble.',
    fix: 'Change the line that is named, and the fields with it. Charts are judged once they are rendered: `helm template` into a folder, and name that.',
  },
  zh: {
    asks: '--manifests 指定目录中的 YAML 所写的 API 版本，目标集群是否都提供？',
    why: '写着目标集群已不提供的 API 版本的文件，下一次 apply（手工、CI 或 GitOps）会失败，尽管它当初创建的对象可以正常迁移。',
    fix: '修改检查结果指出的行以及相应字段。chart 需先渲染：用 helm template 输出到目录后再检查。',
  },
  sources: [
    'kubernetes/website:content/en/docs/reference/using-api/deprecation-guide.md',
    'FairwindsOps/pluto:README.md',
  ],

  look(sight) {
    const { manifests } = sight.source.inventory.evidence ?? {};
    if (!manifests) throw new Skipped('no folder was given with --manifests');
    if (manifests.files === 0) throw new Unknown(`${manifests.from} has no YAML or JSON files`);
    return [...ofObjects(manifests, sight), ...notJudged(manifests)];
  },
};

function ofObjects({ objects, defines }: Manifests, sight: Sight): Finding[] {
  // A definition that can't be applied itself brings nothing.
  const brought = new Set(
    defines
      .filter(({ apiVersion }) => servesExactly(sight.target, { apiVersion, kind: 'CustomResourceDefinition' }))
      .map((it) => it.brings),
  );
  return objects.flatMap((it): Finding[] => {
    if (brought.has(`${it.apiVersion}/${it.kind}`)) return [];
    const found = outdated(it, sight);
    return found
      ? [
          {
            about: `${it.file}:${it.line}`,
            ...found,
            breaks: `the next apply of ${it.kind.toLowerCase()} ${it.namespace === undefined ? '' : `${it.namespace}/`}${it.name} in the target`,
          },
        ]
      : [];
  });
}

/** What could not be looked at is said, or a folder of charts would pass. */
function notJudged({ from, templates, unread }: Manifests): Finding[] {
  const rendered = templates.length > 0 && {
    about: `templates in ${from}`,
    saw: `${count(templates.length, 'file')} of charts not judged: ${some(templates)}`,
    want: 'manifests',
    fix: 'Render them with `helm template` into a folder, and name it with --manifests.',
  };
  return [
    ...(rendered ? [rendered] : []),
    ...unread.map(({ what, why }) => ({ about: what, saw: `not judged: ${why}`, want: 'YAML or JSON' })),
  ];
}
