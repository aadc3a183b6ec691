import type { Json, TwinObject } from '../types.js';
import { humanDuration } from './age.js';
import { selectorText } from './selectors.js';

/** What a cell is made from beside its object. */
export interface Moment {
  now: number;
}

export interface TableColumn {
  name: string;
  type: string;
  format?: string;
  description?: string;
  /** above 0: only with -o wide */
  priority?: number;
  cell(object: TwinObject, moment: Moment): Json;
}

type Cell = TableColumn['cell'];

export const ageAt = (time: string | undefined | null, { now }: Moment): string =>
  time ? humanDuration(now - Date.parse(time)) : '<unknown>';

const text = (name: string, cell: Cell): TableColumn => ({ name, type: 'string', cell });
const count = (name: string, cell: Cell): TableColumn => ({ name, type: 'integer', cell });
const wide = (column: TableColumn): TableColumn => ({ ...column, priority: 1 });

export const NAME: TableColumn = {
  name: 'Name',
  type: 'string',
  format: 'name',
  cell: ({ metadata }) => metadata.name,
};
export const AGE: TableColumn = text('Age', ({ metadata }, moment) => ageAt(metadata.creationTimestamp, moment));

const or = (value: Json, otherwise: string): Json =>
  value === undefined || value === null || value === '' ? otherwise : value;
const NONE = '<none>';

// Pods: kubernetes/kubernetes:pkg/printers/internalversion/printers.go printPod

const readyContainers: Cell = (pod) => {
  const states: Json[] = pod['status']?.containerStatuses ?? [];
  return `${states.filter((it) => it.ready).length}/${pod['spec']?.containers?.length ?? 0}`;
};

const restarts: Cell = (pod) =>
  (pod['status']?.containerStatuses ?? []).reduce((sum: number, it: Json) => sum + (it.restartCount ?? 0), 0);

const podStatus: Cell = (pod) => {
  const { metadata, status } = pod as Json;
  if (metadata.deletionTimestamp) return 'Terminating';
  const waiting = (status?.containerStatuses ?? [])
    .map((it: Json) => it.state?.waiting?.reason ?? it.state?.terminated?.reason)
    .find(Boolean);
  return waiting ?? status?.reason ?? status?.phase ?? 'Unknown';
};

const gates: Cell = (pod) => {
  const wanted: Json[] = pod['spec']?.readinessGates ?? [];
  if (wanted.length === 0) return NONE;
  const met = wanted.filter(({ conditionType }) =>
    (pod['status']?.conditions ?? []).some((it: Json) => it.type === conditionType && it.status === 'True'),
  );
  return `${met.length}/${wanted.length}`;
};

const pods = [
  NAME,
  text('Ready', readyContainers),
  text('Status', podStatus),
  text('Restarts', restarts),
  AGE,
  wide(text('IP', (pod) => or(pod['status']?.podIP, NONE))),
  wide(text('Node', (pod) => or(pod['spec']?.nodeName, NONE))),
  wide(text('Nominated Node', (pod) => or(pod['status']?.nominatedNodeName, NONE))),
  wide(text('Readiness Gates', gates)),
];

// Workloads

const containers = (template: Json): Json[] => template?.spec?.containers ?? [];
const containerNames: Cell = (object) =>
  containers(object['spec']?.template)
    .map(({ name }) => name)
    .join(',');
const images: Cell = (object) =>
  containers(object['spec']?.template)
    .map(({ image }) => image)
    .join(',');
const selector: Cell = (object) => or(selectorText(object['spec']?.selector), NONE);
const MADE_OF = [wide(text('Containers', containerNames)), wide(text('Images', images))];
const WORKLOAD = [...MADE_OF, wide(text('Selector', selector))];
const readyOf: Cell = (object) => `${object['status']?.readyReplicas ?? 0}/${object['spec']?.replicas ?? 0}`;

const deployments = [
  NAME,
  text('Ready', readyOf),
  text('Up-to-date', (it) => it['status']?.updatedReplicas ?? 0),
  text('Available', (it) => it['status']?.availableReplicas ?? 0),
  AGE,
  ...WORKLOAD,
];

const replicaSets = [
  NAME,
  count('Desired', (it) => it['spec']?.replicas ?? 0),
  count('Current', (it) => it['status']?.replicas ?? 0),
  count('Ready', (it) => it['status']?.readyReplicas ?? 0),
  AGE,
  ...WORKLOAD,
];

const daemonSets = [
  NAME,
  count('Desired', (it) => it['status']?.desiredNumberScheduled ?? 0),
  count('Current', (it) => it['status']?.currentNumberScheduled ?? 0),
  count('Ready', (it) => it['status']?.numberReady ?? 0),
  count('Up-to-date', (it) => it['status']?.updatedNumberScheduled ?? 0),
  count('Available', (it) => it['status']?.numberAvailable ?? 0),
  text('Node Selector', (it) => or(selectorText(it['spec']?.template?.spec?.nodeSelector), NONE)),
  AGE,
  ...WORKLOAD,
];

const jobDuration: Cell = ({ status }: Json, { now }) => {
  if (!status?.startTime) return '';
  return humanDuration(
    (status.completionTime ? Date.parse(status.completionTime) : now) - Date.parse(status.startTime),
  );
};

const jobs = [
  NAME,
  text('Completions', (it) => `${it['status']?.succeeded ?? 0}/${it['spec']?.completions ?? 1}`),
  text('Duration', jobDuration),
  AGE,
  ...WORKLOAD,
];

const cronJobs = [
  NAME,
  text('Schedule', (it) => it['spec']?.schedule),
  { name: 'Suspend', type: 'boolean', cell: (it: TwinObject) => (it['spec']?.suspend ? 'True' : 'False') },
  count('Active', (it) => it['status']?.active?.length ?? 0),
  text('Last Schedule', (it, moment) =>
    it['status']?.lastScheduleTime ? ageAt(it['status'].lastScheduleTime, moment) : NONE,
  ),
  AGE,
  wide(
    text('Containers', (it) =>
      containers(it['spec']?.jobTemplate?.spec?.template)
        .map(({ name }) => name)
        .join(','),
    ),
  ),
  wide(
    text('Images', (it) =>
      containers(it['spec']?.jobTemplate?.spec?.template)
        .map(({ image }) => image)
        .join(','),
    ),
  ),
];

const targets: Cell = ({ spec }: Json) =>
  (spec?.metrics ?? [])
    .map(({ resource }: Json) =>
      resource ? `${resource.name}: <unknown>/${resource.target?.averageUtilization ?? '<auto>'}%` : '<unknown>',
    )
    .join(', ') || NONE;

const autoscalers = [
  NAME,
  text('Reference', (it) => `${it['spec']?.scaleTargetRef?.kind}/${it['spec']?.scaleTargetRef?.name}`),
  text('Targets', targets),
  text('MinPods', (it) => String(it['spec']?.minReplicas ?? '<unset>')),
  text('MaxPods', (it) => it['spec']?.maxReplicas),
  text('Replicas', (it) => it['status']?.currentReplicas ?? 0),
  AGE,
];

// Network

const externalAddress: Cell = ({ spec, status }: Json) => {
  const balancer = (status?.loadBalancer?.ingress ?? []).map((it: Json) => it.ip ?? it.hostname);
  const own = spec?.externalIPs ?? [];
  if (spec?.type === 'ExternalName') return spec.externalName;
  if (spec?.type === 'LoadBalancer') return [...balancer, ...own].join(',') || '<pending>';
  return own.join(',') || NONE;
};

const servicePorts: Cell = ({ spec }: Json) =>
  (spec?.ports ?? []).map((it: Json) => `${it.port}${it.nodePort ? `:${it.nodePort}` : ''}/${it.protocol}`).join(',') ||
  NONE;

const services = [
  NAME,
  text('Type', (it) => it['spec']?.type),
  text('Cluster-IP', (it) => or(it['spec']?.clusterIP, NONE)),
  text('External-IP', externalAddress),
  text('Port(s)', servicePorts),
  AGE,
  wide(text('Selector', selector)),
];

/** The first few, and how many more there are. */
const few = (list: Json[], most: number): string => {
  if (list.length === 0) return NONE;
  const more = list.length - most;
  return list.slice(0, most).join(',') + (more > 0 ? ` + ${more} more...` : '');
};

const endpointAddresses: Cell = ({ subsets }: Json) =>
  few(
    (subsets ?? []).flatMap((subset: Json) =>
      (subset.ports ?? [{}]).flatMap(({ port }: Json) =>
        (subset.addresses ?? []).map(({ ip }: Json) => (port === undefined ? ip : `${ip}:${port}`)),
      ),
    ),
    3,
  );

const sliceEndpoints: Cell = (slice) =>
  few(
    (slice['endpoints'] ?? []).flatMap(({ addresses }: Json) => addresses ?? []),
    3,
  );

const endpointSlices = [
  NAME,
  text('AddressType', (it) => it['addressType']),
  text('Ports', (it) =>
    few(
      (it['ports'] ?? []).map(({ port }: Json) => port ?? '*'),
      3,
    ).replace(NONE, '<unset>'),
  ),
  text('Endpoints', (it, moment) => String(sliceEndpoints(it, moment)).replace(NONE, '<unset>')),
  AGE,
];

const hosts: Cell = (it) =>
  few([...new Set((it['spec']?.rules ?? []).map(({ host }: Json) => host).filter(Boolean))], 3).replace(NONE, '*');

const ingresses = [
  NAME,
  text('Class', (it) =>
    or(it['spec']?.ingressClassName ?? it.metadata.annotations?.['kubernetes.io/ingress.class'], NONE),
  ),
  text('Hosts', hosts),
  text('Address', (it) =>
    (it['status']?.loadBalancer?.ingress ?? []).map((own: Json) => own.ip ?? own.hostname).join(','),
  ),
  text('Ports', (it) => (it['spec']?.tls?.length ? '80, 443' : '80')),
  AGE,
];

// Nodes and namespaces

const nodeStatus: Cell = ({ status, spec }: Json) => {
  const ready = (status?.conditions ?? []).find((it: Json) => it.type === 'Ready');
  const words = [ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady'];
  if (spec?.unschedulable) words.push('SchedulingDisabled');
  return words.join(',');
};

const ROLE_LABEL = 'node-role.kubernetes.io/';
const nodeRoles: Cell = ({ metadata }) => {
  const roles = Object.keys(metadata.labels ?? {}).flatMap((it) =>
    it.startsWith(ROLE_LABEL) ? [it.slice(ROLE_LABEL.length)] : [],
  );
  return roles.toSorted().join(',') || NONE;
};

const nodeAddress =
  (type: string): Cell =>
  ({ status }: Json) =>
    or((status?.addresses ?? []).find((it: Json) => it.type === type)?.address, NONE);

const nodes = [
  NAME,
  text('Status', nodeStatus),
  text('Roles', nodeRoles),
  AGE,
  text('Version', (it) => it['status']?.nodeInfo?.kubeletVersion ?? ''),
  wide(text('Internal-IP', nodeAddress('InternalIP'))),
  wide(text('External-IP', nodeAddress('ExternalIP'))),
  wide(text('OS-Image', (it) => or(it['status']?.nodeInfo?.osImage, '<unknown>'))),
  wide(text('Kernel-Version', (it) => or(it['status']?.nodeInfo?.kernelVersion, '<unknown>'))),
  wide(text('Container-Runtime', (it) => or(it['status']?.nodeInfo?.containerRuntimeVersion, '<unknown>'))),
];

const namespaces = [NAME, text('Status', (it) => it['status']?.phase), AGE];

// Storage

const MODES: Record<string, string> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
};
const modes = (list: Json): string => (list ?? []).map((it: string) => MODES[it] ?? it).join(',');
const phase: Cell = ({ metadata, status }: Json) =>
  metadata.deletionTimestamp ? 'Terminating' : (status?.phase ?? '');

const volumes = [
  NAME,
  text('Capacity', (it) => it['spec']?.capacity?.storage ?? ''),
  text('Access Modes', (it) => modes(it['spec']?.accessModes)),
  text('Reclaim Policy', (it) => it['spec']?.persistentVolumeReclaimPolicy),
  text('Status', phase),
  text('Claim', ({ spec }: Json) => (spec?.claimRef ? `${spec.claimRef.namespace}/${spec.claimRef.name}` : '')),
  text('StorageClass', (it) => it['spec']?.storageClassName ?? ''),
  text('Reason', (it) => it['status']?.reason ?? ''),
  AGE,
  wide(text('VolumeMode', (it) => it['spec']?.volumeMode ?? '<unset>')),
];

const claims = [
  NAME,
  text('Status', phase),
  text('Volume', (it) => it['spec']?.volumeName ?? ''),
  text('Capacity', (it) => it['status']?.capacity?.storage ?? ''),
  text('Access Modes', (it) => modes(it['status']?.accessModes)),
  text('StorageClass', (it) => it['spec']?.storageClassName ?? ''),
  AGE,
  wide(text('VolumeMode', (it) => it['spec']?.volumeMode ?? '<unset>')),
];

const IS_DEFAULT = ['storageclass.kubernetes.io/is-default-class', 'storageclass.beta.kubernetes.io/is-default-class'];
const className: Cell = ({ metadata }) =>
  IS_DEFAULT.some((key) => metadata.annotations?.[key] === 'true') ? `${metadata.name} (default)` : metadata.name;

const storageClasses = [
  { ...NAME, cell: className },
  text('Provisioner', (it) => it['provisioner']),
  text('ReclaimPolicy', (it) => it['reclaimPolicy'] ?? 'Delete'),
  text('VolumeBindingMode', (it) => it['volumeBindingMode'] ?? 'Immediate'),
  { name: 'AllowVolumeExpansion', type: 'string', cell: (it: TwinObject) => it['allowVolumeExpansion'] ?? false },
  AGE,
];

// The rest

const keysOf = (map: Json): number => Object.keys(map ?? {}).length;
const configMaps = [NAME, text('Data', (it) => keysOf(it['data']) + keysOf(it['binaryData'])), AGE];
const secrets = [NAME, text('Type', (it) => it['type']), text('Data', (it) => keysOf(it['data'])), AGE];
const serviceAccounts = [NAME, text('Secrets', (it) => it['secrets']?.length ?? 0), AGE];

const lastSeen: Cell = (it, moment) => ageAt(it['lastTimestamp'] ?? it['eventTime'] ?? it['firstTimestamp'], moment);
const eventObject: Cell = ({ involvedObject: it }: Json) => `${String(it?.kind ?? '').toLowerCase()}/${it?.name}`;

const events = [
  text('Last Seen', lastSeen),
  text('Type', (it) => it['type'] ?? ''),
  text('Reason', (it) => it['reason']),
  text('Object', eventObject),
  wide(text('Subobject', (it) => it['involvedObject']?.fieldPath ?? '')),
  wide(text('Source', ({ source }: Json) => [source?.component, source?.host].filter(Boolean).join(', '))),
  text('Message', (it) => String(it['message'] ?? '').trim()),
  wide(text('First Seen', (it, moment) => ageAt(it['firstTimestamp'] ?? it['eventTime'], moment))),
  wide(text('Count', (it) => it['count'] ?? 1)),
  wide(NAME),
];

const definitions = [
  NAME,
  { name: 'Created At', type: 'date', cell: ({ metadata }: TwinObject) => metadata.creationTimestamp },
];

const budgets = [
  NAME,
  text('Min Available', (it) => String(it['spec']?.minAvailable ?? 'N/A')),
  text('Max Unavailable', (it) => String(it['spec']?.maxUnavailable ?? 'N/A')),
  count('Allowed Disruptions', (it) => it['status']?.disruptionsAllowed ?? 0),
  AGE,
];

const PLAIN = [NAME, AGE];

const COLUMNS: Record<string, TableColumn[]> = {
  '/pods': pods,
  '/services': services,
  '/endpoints': [NAME, text('Endpoints', endpointAddresses), AGE],
  '/nodes': nodes,
  '/namespaces': namespaces,
  '/configmaps': configMaps,
  '/secrets': secrets,
  '/serviceaccounts': serviceAccounts,
  '/persistentvolumes': volumes,
  '/persistentvolumeclaims': claims,
  '/events': events,
  'apps/deployments': deployments,
  'apps/replicasets': replicaSets,
  'apps/statefulsets': [NAME, text('Ready', readyOf), AGE, ...MADE_OF],
  'apps/daemonsets': daemonSets,
  'batch/jobs': jobs,
  'batch/cronjobs': cronJobs,
  'autoscaling/horizontalpodautoscalers': autoscalers,
  'networking.k8s.io/ingresses': ingresses,
  'discovery.k8s.io/endpointslices': endpointSlices,
  'storage.k8s.io/storageclasses': storageClasses,
  'policy/poddisruptionbudgets': budgets,
  'apiextensions.k8s.io/customresourcedefinitions': definitions,
};

/** The columns of a built-in kind, over its stored form. */
export function columnsOf(storedKey: string): TableColumn[] {
  return COLUMNS[storedKey] ?? PLAIN;
}
