import type { Json } from '../types.js';
import { isMap } from './json.js';

/**
 * How the lists and maps of a kind merge: what the tags patchStrategy, patchMergeKey, listType, listMapKey and mapType say in
 * k8s.io/api. What isn't named here merges as an object field by field, or is replaced as a list.
 */
export interface Shape {
  fields?: Record<string, Shape>;
  /** maps with free keys: the shape of each value */
  values?: Shape;
  /** replaced as a whole, and owned as a whole */
  atomic?: true;
  list?: {
    /** key of strategic merge patch; none: the list is replaced */
    patchKey?: string;
    /** keys of server-side apply; none: the list is owned as a whole */
    keys?: readonly string[];
    /** what a key that an item leaves out stands for */
    defaults?: Record<string, Json>;
    item: Shape;
  };
  /** a list of plain values without order: strategic merge patch adds to it, server-side apply owns each value */
  set?: { patch: boolean; apply: boolean };
}

const PLAIN: Shape = {};
const ATOMIC: Shape = { atomic: true };

const fields = (map: Record<string, Shape>): Shape => ({ fields: map });
/** merges by the same key in strategic merge patch and server-side apply */
const listBy = (key: string, item: Shape = PLAIN): Shape => ({ list: { patchKey: key, keys: [key], item } });
const SET: Shape = { set: { patch: true, apply: true } };

const SELECTOR = ATOMIC;
const NAMED_REF: Shape = ATOMIC;

const METADATA = fields({
  finalizers: SET,
  ownerReferences: listBy('uid', ATOMIC),
});

const PORTS: Shape = {
  list: { patchKey: 'containerPort', keys: ['containerPort', 'protocol'], defaults: { protocol: 'TCP' }, item: PLAIN },
};

const ENV_SOURCE = fields({
  configMapKeyRef: ATOMIC,
  fieldRef: ATOMIC,
  resourceFieldRef: ATOMIC,
  secretKeyRef: ATOMIC,
});

const CONTAINER = fields({
  ports: PORTS,
  env: listBy('name', fields({ valueFrom: ENV_SOURCE })),
  volumeMounts: listBy('mountPath'),
  volumeDevices: listBy('devicePath'),
  resources: fields({ claims: { list: { keys: ['name'], item: PLAIN } } }),
});

const POD_SPEC = fields({
  containers: listBy('name', CONTAINER),
  initContainers: listBy('name', CONTAINER),
  ephemeralContainers: listBy('name', CONTAINER),
  volumes: listBy('name', fields({ secret: PLAIN })),
  imagePullSecrets: listBy('name'),
  hostAliases: listBy('ip'),
  topologySpreadConstraints: {
    list: {
      patchKey: 'topologyKey',
      keys: ['topologyKey', 'whenUnsatisfiable'],
      item: fields({ labelSelector: SELECTOR }),
    },
  },
  resourceClaims: listBy('name'),
  schedulingGates: listBy('name'),
  nodeSelector: ATOMIC,
  affinity: fields({ nodeAffinity: fields({ requiredDuringSchedulingIgnoredDuringExecution: ATOMIC }) }),
});

const CONDITIONS = listBy('type');
const TEMPLATE = fields({ metadata: METADATA, spec: POD_SPEC });
const STATUS = fields({ conditions: CONDITIONS });
const WORKLOAD = { metadata: METADATA, spec: fields({ selector: SELECTOR, template: TEMPLATE }), status: STATUS };

const SERVICE_PORTS: Shape = {
  list: { patchKey: 'port', keys: ['port', 'protocol'], defaults: { protocol: 'TCP' }, item: PLAIN },
};

const JOB_SPEC = fields({ selector: SELECTOR, template: TEMPLATE });

const WEBHOOKS = {
  metadata: METADATA,
  webhooks: listBy('name', fields({ namespaceSelector: SELECTOR, objectSelector: SELECTOR })),
};

const SHAPES: Record<string, Shape> = {
  Pod: fields({
    metadata: METADATA,
    spec: POD_SPEC,
    status: fields({ conditions: CONDITIONS, podIPs: listBy('ip') }),
  }),
  PodTemplate: fields({ metadata: METADATA, template: TEMPLATE }),
  Deployment: fields(WORKLOAD),
  ReplicaSet: fields(WORKLOAD),
  StatefulSet: fields(WORKLOAD),
  DaemonSet: fields(WORKLOAD),
  ReplicationController: fields({ ...WORKLOAD, spec: fields({ selector: ATOMIC, template: TEMPLATE }) }),
  Job: fields({
    metadata: METADATA,
    spec: JOB_SPEC,
    status: fields({ conditions: { list: { patchKey: 'type', item: PLAIN } } }),
  }),
  CronJob: fields({
    metadata: METADATA,
    spec: fields({ jobTemplate: fields({ metadata: METADATA, spec: JOB_SPEC }) }),
  }),
  Service: fields({
    metadata: METADATA,
    spec: fields({ ports: SERVICE_PORTS, selector: ATOMIC }),
    status: fields({ conditions: CONDITIONS }),
  }),
  ServiceAccount: fields({ metadata: METADATA, secrets: listBy('name') }),
  Namespace: fields({ metadata: METADATA, status: STATUS }),
  Node: fields({
    metadata: METADATA,
    spec: fields({
      taints: { list: { patchKey: 'key', item: PLAIN } },
      podCIDRs: { set: { patch: true, apply: true } },
    }),
    status: fields({ conditions: CONDITIONS, addresses: listBy('type') }),
  }),
  PersistentVolume: fields({
    metadata: METADATA,
    spec: fields({ claimRef: PLAIN, nodeAffinity: fields({ required: ATOMIC }) }),
  }),
  PersistentVolumeClaim: fields({
    metadata: METADATA,
    spec: fields({ selector: SELECTOR, dataSource: NAMED_REF }),
    status: STATUS,
  }),
  PodDisruptionBudget: fields({ metadata: METADATA, spec: fields({ selector: SELECTOR }), status: STATUS }),
  NetworkPolicy: fields({ metadata: METADATA, spec: fields({ podSelector: SELECTOR }) }),
  MutatingWebhookConfiguration: fields(WEBHOOKS),
  ValidatingWebhookConfiguration: fields(WEBHOOKS),
  EndpointSlice: fields({ metadata: METADATA }),
  Ingress: fields({
    metadata: METADATA,
    spec: fields({ backend: fields({ resource: ATOMIC }), defaultBackend: fields({ resource: ATOMIC }) }),
  }),
  CustomResourceDefinition: fields({
    metadata: METADATA,
    status: fields({ conditions: { list: { keys: ['type'], item: PLAIN } } }),
  }),
};

const OTHER: Shape = fields({ metadata: METADATA });

/** The shape of a built-in kind. */
export function shapeOf(kind: string): Shape {
  return SHAPES[kind] ?? OTHER;
}

/**
 * The shape that a custom resource's schema declares by x-kubernetes-list-type, -list-map-keys and -map-type.
 *
 * @param schema  openAPIV3Schema of one version
 */
export function shapeOfSchema(schema: Json): Shape {
  const shape = schemaShape(schema);
  return { ...shape, fields: { ...shape.fields, metadata: METADATA } };
}

function schemaShape(schema: Json): Shape {
  if (!isMap(schema)) return PLAIN;
  if (schema['x-kubernetes-map-type'] === 'atomic') return ATOMIC;
  if (schema['type'] === 'array') return listShape(schema);
  return {
    ...(isMap(schema['properties']) && {
      fields: Object.fromEntries(
        Object.entries(schema['properties']).map(([name, field]) => [name, schemaShape(field)]),
      ),
    }),
    ...(isMap(schema['additionalProperties']) && { values: schemaShape(schema['additionalProperties']) }),
  };
}

function listShape(schema: Json): Shape {
  const kind = schema['x-kubernetes-list-type'];
  if (kind === 'set') return { set: { patch: false, apply: true } };
  if (kind !== 'map') return PLAIN;
  return { list: { keys: schema['x-kubernetes-list-map-keys'] ?? [], item: schemaShape(schema.items) } };
}

/** The shape of a map's field. */
export function fieldShape(shape: Shape, key: string): Shape {
  return shape.fields?.[key] ?? shape.values ?? PLAIN;
}
