import type { Check, Finding, Sight } from '../../src/check.js';
import { heldWorkloads } from '../../src/one-side.js';
import { splitPath } from '../../src/objects.js';
import type { KubeObject } from '../../src/ports.js';
import { about } from '../about.js';

/**
 * What changes sides as a whole is stopped on the source and then started on the target: it must be there, at rest until its time, and
 * able to take over what the other has left.
 *
 * @source kubernetes-sigs/external-dns:docs/registry/registry.md, docs/flags.md (--policy is sync, --txt-owner-id is default)
 */
export const oneSide: Check = {
  id: 'one-side',
  group: 'workloads',
  asks: 'Can each workload of data.oneSide take over on the target what it does on the source?',
  before: 'traffic',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: { source: KINDS(), target: KINDS() },
  takes: Object.fromEntries(KINDS().map((kind) => [kind, FIELDS()])),
  everywhere: { source: KINDS(), target: KINDS() },
  hint: {
    why: 'It is started on the target only after it rests on the source. One that is awake there before works twice; one that is not there works nowhere.',
    fix: 'Install it on the target with no replicas, as the same one that the source has; the plan starts it there in its time.',
  },
  zh: {
    asks: 'data.oneSide 中的每个工作负载能否在目标集群接手源集群上的工作？',
    why: '只有在源集群停下之后才会在目标集群启动。提前运行会重复工作；目标集群上没有则两侧都不工作。',
    fix: '在目标集群以 0 副本安装与源集群相同的一份；计划会按时启动它。',
  },
  sources: [
    'kubernetes-sigs/external-dns:docs/registry/registry.md',
    'https://github.com/kubernetes-sigs/external-dns/issues/1862',
    'https://kubernetes.io/docs/concepts/workloads/controllers/deployment/',
  ],

  look: (sight) => [...heldWorkloads(sight.playbook)].flatMap((it) => ofOne(it, sight)),
};

function KINDS() {
  return ['Deployment.apps', 'StatefulSet.apps', 'DaemonSet.apps'];
}

function FIELDS() {
  const containers = 'spec.template.spec.containers';
  return ['spec.replicas', `${containers}.image`, `${containers}.command`, `${containers}.args`];
}

function ofOne(held: string, { source, target, namespaces }: Sight): Finding[] {
  const [kind = '', path = ''] = held.split(' ');
  const { namespace, name } = splitPath(path);
  const named = about({ kind: kind.split('.')[0] ?? '', metadata: { namespace, name } });
  const here = source.get(kind, namespace, name);
  const there = target.get(kind, namespace, name);
  const moves = namespaces.includes(namespace);
  // Of other namespaces an identity may see nothing.
  const knows = (it: Sight['source']) => moves || it.whole(kind);
  if (!here)
    return knows(source)
      ? [
          {
            about: named,
            saw: 'the source has none',
            want: 'one that can change sides',
            fix: 'Correct its name in the playbook.',
          },
        ]
      : [];
  const arrives = moves && !there;
  if (!there && !arrives && knows(target))
    return [
      {
        about: named,
        saw: 'it is in no namespace that moves, and not on the target',
        want: 'the same one there, at rest',
      },
    ];
  if (there && isAwake(there))
    return [
      {
        about: named,
        saw: 'it is awake on the target',
        want: 'no replicas, until it changes sides',
        breaks: 'both work',
      },
    ];
  return there ? ofNames(here, there, named) : [];
}

/** A DaemonSet has no number of pods; whether it rests is asked by the step. */
const isAwake = ({ kind, spec }: KubeObject) => kind !== 'DaemonSet' && Number(spec?.replicas ?? 1) > 0;

const containersOf = (it: KubeObject) =>
  (it['spec']?.template?.spec?.containers ?? []) as { image?: string; command?: string[]; args?: string[] }[];

const flagOf = (it: KubeObject, flag: string): string | undefined =>
  containersOf(it)
    .flatMap((one) => [...(one.command ?? []), ...(one.args ?? [])])
    .flatMap((word) => (word.startsWith(`--${flag}=`) ? [word.slice(flag.length + 3)] : []))[0];

/** A record belongs to who signed it: under another name the target would never touch it, under the same it keeps it in its way. */
function ofNames(here: KubeObject, there: KubeObject, named: string): Finding[] {
  if (!containersOf(here).some((it) => /(^|\/)external-dns[:@]/.test(`${it.image}:`))) return [];
  const [was, is] = [here, there].map((it) => flagOf(it, 'txt-owner-id') ?? 'default');
  if (was !== is)
    return [
      {
        about: named,
        severity: 'warn',
        saw: `it signs its records as ${was} on the source and as ${is} on the target`,
        want: 'one --txt-owner-id, as they work one after the other',
        breaks: 'the target leaves the records alone that the source has made, also when their addresses change',
        fix: 'Give both the same --txt-owner-id while only one of them runs.',
      },
    ];
  const policy = flagOf(there, 'policy') ?? 'sync';
  if (policy !== 'sync') return [];
  return [
    {
      about: named,
      severity: 'warn',
      saw: 'its --policy on the target is sync',
      want: 'upsert-only, until all that has records has moved',
      breaks: 'when it wakes there it deletes the records of whatever is not on the target',
      fix: 'Set --policy=upsert-only on the target until the last of them has moved.',
    },
  ];
}
