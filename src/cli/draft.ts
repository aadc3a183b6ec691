import { stringify } from 'yaml';

/** What `init` has found out, and the playbook that it writes of it. */
export interface Draft {
  name: string;
  sourceContext: string;
  targetContext: string;
  versions: { source: string; target: string };
  region?: string;
  targetRegion?: string;
  namespaces: string[];
  /** undefined: the target offers several, the operator chooses */
  storageClasses: Record<string, string | undefined>;
  velero?: { namespace: string; storageLocation: string };
  /** of the target's nodes */
  zones: string[];
  services: DraftService[];
  /** Deployments, as `namespace/name`, that may be meant to work on one side alone */
  alone: { path: string; moves: boolean }[];
}

export interface DraftService {
  service: string;
  router: 'clb' | 'nlb';
  port: number;
  /** the shared server group; without one it can't be shifted yet */
  group?: string;
  loadBalancer?: string;
}

/** A scalar as YAML writes it, quoted where it must be. */
const text = (value: string) => stringify(value).trimEnd();

const flow = (value: unknown) => stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trimEnd();

export function draftOf(draft: Draft): string {
  return [
    '# A move from one cluster to another, by migrate. Read it, complete what is marked, then:',
    '#   migrate validate, migrate preflight, migrate plan',
    'apiVersion: migrate/v1alpha1',
    'kind: Playbook',
    `name: ${text(draft.name)}`,
    '',
    '# Contexts of your kubeconfig, always both by name: the current context is never taken.',
    `source: { context: ${text(draft.sourceContext)} } # ${draft.versions.source}`,
    `target: { context: ${text(draft.targetContext)} } # ${draft.versions.target}`,
    '',
    ...cloud(draft),
    '# What preflight finds and you accept, with who answers for it and until when:',
    '# preflight:',
    '#   waive:',
    "#     - { check: removed-apis, about: 'ingress shop/legacy', because: goes away in March, owner: web, until: 2027-03-31 }",
    '',
    ...data(draft),
    ...traffic(draft),
  ].join('\n');
}

function cloud({ region, targetRegion }: Draft): string[] {
  if (region === undefined)
    return [
      '# The nodes name no region: write it, or disks and weights can not be moved.',
      '# cloud: { provider: alibaba, region: cn-hangzhou }',
      '',
    ];
  return [`cloud: ${flow({ provider: 'alibaba', region, ...(targetRegion !== undefined && { targetRegion }) })}`, ''];
}

function data({ namespaces, storageClasses, velero, zones, region, alone }: Draft): string[] {
  const mapped = Object.entries(storageClasses);
  const known = mapped.filter(([, to]) => to !== undefined);
  return [
    'data:',
    `  namespaces: ${flow(namespaces)}`,
    ...(known.length > 0
      ? [
          '  # Classes that claims use and the target lacks, and what they become there. Check it.',
          `  storageClasses: ${flow(Object.fromEntries(known))}`,
        ]
      : []),
    ...mapped
      .filter(([, to]) => to === undefined)
      .map(
        ([from]) =>
          `  # storageClasses: { ${text(from)}: ... }   the target lacks this class: name the one that it becomes`,
      ),
    velero
      ? `  velero: ${flow(velero)}`
      : '  # Velero was not found on either side: install it on both, with the same bucket.\n  velero: { namespace: velero, storageLocation: default }',
    region === undefined
      ? '  disks: none # needs `cloud`'
      : '  disks: copy # snapshot, copy when the region differs, new disk in the zone of the pods',
    ...(zones.length > 1
      ? [
          `  # The target's nodes stand in ${zones.join(', ')}, and a disk in one: say which.`,
          `  zone: ${text(zones[0] ?? '')}`,
        ]
      : []),
    '  arrive: stopped # Deployments at 0, CronJobs suspended; started by a step of their own',
    ...oneSide(alone),
    '',
  ];
}

function oneSide(alone: Draft['alone']): string[] {
  if (alone.length === 0) return [];
  return [
    '  # By their names these work by themselves. Of what stands here one side works at a time (docs/one-side.md); CronJobs need no entry.',
    '  # oneSide:',
    ...alone.map(
      ({ path, moves }) =>
        `  #   - ${flow({ workload: `deployment ${path}` })}${moves ? '' : ' # install it on the target, with no replicas'}`,
    ),
  ];
}

function traffic({ services, region, targetRegion }: Draft): string[] {
  const ready = services.filter((it) => it.group !== undefined);
  const open = services.filter((it) => it.group === undefined);
  const entry = ({ service, router, port, group, loadBalancer }: DraftService) =>
    flow({
      service,
      router,
      ...(group === undefined ? { handOver: true } : { group }),
      port,
      ...(loadBalancer !== undefined && { loadBalancer }),
    });
  // All ports of a Service are taken over at once: one entry stands for them.
  const waiting = open
    .filter((it, at) => open.findIndex((other) => other.service === it.service) === at)
    .flatMap((it) => [
      `    # The load balancer of Service ${it.service} was made by its controller. It can be taken over in place and keeps its address,`,
      '    # by this entry; preflight says whether anything is in the way:',
      `    # - ${entry(it)}`,
    ]);
  if (targetRegion !== undefined)
    return ['# No `traffic`: a classic load balancer takes no members from another region.', ''];
  if (ready.length === 0 || region === undefined) {
    return [
      open.length > 0
        ? '# traffic:\n#   services:'
        : '# No Service of type LoadBalancer moves, so there is no traffic to shift.',
      ...waiting.map((it) => it.replace(/^ {4}(# )?/, '#     ')),
      '',
    ];
  }
  return [
    'traffic:',
    '  services:',
    ...ready.map((it) => `    - ${entry(it)}`),
    ...waiting,
    '  steps: [1, 5, 20, 50, 100] # percent of new connections for the target',
    '  hold: 10m',
    '  tolerance: 1 # points by which a reachable share may differ from the one asked for',
    '  gates: []',
    '  # Asked through the front address all the while; a step is taken back when more than this share fails:',
    "  #   - { probe: 'https://shop.example.com/healthz', failures: 0.1% }",
    '',
  ];
}
