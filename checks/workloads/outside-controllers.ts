import type { Check, Finding, SideSight, Sight } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { about } from '../about.js';

/**
 * Controllers that act on something outside their cluster (DNS records, certificates, buckets, other people’s servers) act on
 * it from both clusters as soon as both run; each takes the other’s work for a mistake.
 *
 * @source kubernetes-sigs/external-dns:docs (txt-owner-id), https://velero.io/docs/main/locations/
 */
export const outsideControllers: Check = {
  id: 'outside-controllers',
  group: 'workloads',
  asks: 'Do two controllers, one on each side, work on the same thing outside?',
  before: 'data',
  severity: 'warn',
  severities: ['refuse', 'warn'],
  reads: { source: ['Deployment.apps', 'Schedule.velero.io'], target: ['Deployment.apps', 'Schedule.velero.io'] },
  takes: {
    'Deployment.apps': (it) =>
      [DNS, ...ACTORS.map((one) => one.name)].some((name) => name.test(it.metadata.name)) ? it : undefined,
  },
  everywhere: { source: ['Deployment.apps'], target: ['Deployment.apps'] },
  hint: {
    why: 'Two of them with one identity delete and write the same records in turn; two backups write into one folder.',
    fix: 'Give each cluster’s its own identity (external-dns: --txt-owner-id), or let one of them rest: of what `data.oneSide` names only one side works at a time.',
  },
  zh: {
    asks: '两侧是否各有一个控制器在操作集群外的同一资源？',
    why: '使用同一身份的两个控制器会轮流删除和重写同一批记录；两套备份会写进同一个目录。',
    fix: '为每个集群设置不同的身份（如 external-dns 的 --txt-owner-id），或让其中一个停下：写入 `data.oneSide` 的对象同一时间只在一侧工作。',
  },
  sources: [
    'kubernetes-sigs/external-dns:docs/registry/txt.md',
    'https://cert-manager.io/docs/configuration/acme/',
    'https://velero.io/docs/main/locations/',
    'https://argo-cd.readthedocs.io/en/stable/operator-manual/',
  ],

  look: (sight) => [...blind(sight), ...pairs(sight), ...dns(sight), ...schedules(sight)],
};

/** Actors on the outside, by the name of their Deployment, and what two of them do. */
const ACTORS: { name: RegExp; is: string; breaks: string }[] = [
  {
    name: /^cert-manager$/,
    is: 'cert-manager',
    breaks: 'both renew the certificates of Issuers that both have, up to the issuer’s limits',
  },
  {
    name: /^cluster-autoscaler/,
    is: 'cluster-autoscaler',
    breaks: 'node groups that both name grow and shrink in turn',
  },
  {
    name: /^(argocd-application-controller|argocd-server)$/,
    is: 'Argo CD',
    breaks: 'an Application whose destination is the other cluster is kept by both',
  },
  { name: /^crossplane$/, is: 'Crossplane', breaks: 'cloud resources that both declare are changed in turn' },
];

const isOn = (it: KubeObject) => Number(it['spec']?.replicas ?? 1) > 0;

const running = (side: SideSight, name: RegExp): KubeObject | undefined =>
  side.list('Deployment.apps').find((it) => name.test(it.metadata.name) && isOn(it));

function blind({ source, target }: Sight): Finding[] {
  return [source, target]
    .filter((it) => !it.whole('Deployment.apps'))
    .map((it) => ({
      about: `${it.side} deployments`,
      saw: 'only those of the move and of the cluster’s own parts may be listed: controllers elsewhere are not seen',
      want: 'the right to list deployments everywhere',
    }));
}

function pairs({ source, target }: Sight): Finding[] {
  return ACTORS.flatMap(({ name, is, breaks }): Finding[] => {
    const [here, there] = [running(source, name), running(target, name)];
    return here && there
      ? [
          {
            about: is,
            saw: `${about(here)} on the source, ${about(there)} on the target`,
            want: 'nothing that both work on',
            breaks,
          },
        ]
      : [];
  });
}

const DNS = /^external-dns/;

/** `default` is what both have that were told nothing. @source kubernetes-sigs/external-dns:pkg/apis/externaldns/types.go */
const ownerOf = (it: KubeObject): string => {
  const words: string[] = (
    (it['spec']?.template?.spec?.containers ?? []) as { args?: string[]; command?: string[] }[]
  ).flatMap((one) => [...(one.command ?? []), ...(one.args ?? [])]);
  return words.flatMap((word) => /^--txt-owner-id=(.*)$/.exec(word)?.[1] ?? [])[0] ?? 'default';
};

function dns({ source, target }: Sight): Finding[] {
  const [here, there] = [running(source, DNS), running(target, DNS)];
  if (!here || !there || ownerOf(here) !== ownerOf(there)) return [];
  return [
    {
      about: 'external-dns',
      severity: 'refuse',
      saw: `both sides sign their records as ${ownerOf(here)}`,
      want: 'a --txt-owner-id for each',
      breaks: 'each deletes the other’s records',
    },
  ];
}

/** A schedule that came along in an earlier restore, or was made on both sides, writes backups of one name into one place. */
function schedules({ source, target }: Sight): Finding[] {
  const awake = (side: SideSight) => side.list('Schedule.velero.io').filter((it) => it['spec']?.paused !== true);
  const there = new Set(awake(target).map((it) => it.metadata.name));
  return awake(source)
    .filter((it) => there.has(it.metadata.name))
    .map((it) => ({
      about: about(it),
      saw: 'it is awake on both sides',
      want: 'paused on one of them',
      breaks: 'backups of one name, made at one time, in one place',
    }));
}
