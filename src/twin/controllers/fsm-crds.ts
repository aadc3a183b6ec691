import type { Json, TwinObject } from '../types.js';

/** Both names of the group: the older one up to the summer of 2023. */
export const FSM_GROUPS = ['multicluster.flomesh.io', 'flomesh.io'] as const;

const text = { type: 'string' };
const int = { type: 'integer', format: 'int32' };
const list = (items: Json): Json => ({ type: 'array', items });
const object = (properties: Json, required: string[] = []): Json => ({
  type: 'object',
  properties,
  ...(required.length > 0 ? { required } : {}),
});

const port = { ...int, minimum: 1, maximum: 65535 };

const KINDS = (group: string): { kind: string; plural: string; short?: string; cluster?: true; spec: Json }[] => [
  {
    kind: 'Cluster',
    plural: 'clusters',
    cluster: true,
    spec: object(
      {
        region: { ...text, default: 'default' },
        zone: { ...text, default: 'default' },
        group: { ...text, default: 'default' },
        gatewayHost: text,
        gatewayPort: { ...port, default: 80 },
        kubeconfig: text,
        fsmNamespace: text,
      },
      group === 'flomesh.io' ? [] : ['fsmNamespace'],
    ),
  },
  {
    kind: 'ServiceExport',
    plural: 'serviceexports',
    short: 'sexp',
    spec: object(
      {
        pathRewrite: object({ from: text, to: text }),
        sessionSticky: { type: 'boolean' },
        loadBalancer: text,
        rules: {
          ...list(
            object({ portNumber: port, path: text, pathType: { ...text, enum: ['Exact', 'Prefix'] } }, ['pathType']),
          ),
          minItems: 1,
        },
        targetClusters: list(text),
        serviceAccountName: text,
      },
      ['rules'],
    ),
  },
  {
    kind: 'ServiceImport',
    plural: 'serviceimports',
    short: 'simp',
    spec: object(
      {
        type: { ...text, enum: ['ClusterSetIP', 'Headless'] },
        ips: { ...list(text), maxItems: 1 },
        ports: list(
          object(
            {
              name: text,
              port: int,
              protocol: text,
              endpoints: list(
                object(
                  {
                    clusterKey: text,
                    target: object({ host: text, ip: text, port: int, path: text }, ['host', 'ip', 'port', 'path']),
                  },
                  ['clusterKey', 'target'],
                ),
              ),
            },
            ['port', 'endpoints'],
          ),
        ),
      },
      ['ports'],
    ),
  },
  {
    kind: 'GlobalTrafficPolicy',
    plural: 'globaltrafficpolicies',
    short: 'gtp',
    spec: object(
      {
        lbType: { ...text, enum: ['Locality', 'ActiveActive', 'FailOver'], default: 'Locality' },
        targets: list(object({ clusterKey: text, weight: int }, ['clusterKey'])),
      },
      ['lbType'],
    ),
  },
];

/**
 * Definitions of Flomesh's multi-cluster kinds, cut down to what a move uses.
 * @source flomesh-io/fsm:cmd/fsm-bootstrap/crds/multicluster.flomesh.io_{clusters,serviceexports,serviceimports,globaltrafficpolicies}.yaml;
 * flomesh-io/ErieCanal:charts/erie-canal/apis/flomesh.io_mcs-api.yaml, flomesh.io_clusters.yaml
 */
export const fsmCrds = (group: (typeof FSM_GROUPS)[number] = 'multicluster.flomesh.io'): TwinObject[] =>
  KINDS(group).map(({ kind, plural, short, cluster, spec }) => ({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: cluster ? 'Cluster' : 'Namespaced',
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        ...(short === undefined ? {} : { shortNames: [short] }),
      },
      versions: [
        {
          name: 'v1alpha1',
          served: true,
          storage: true,
          subresources: { status: {} },
          schema: {
            openAPIV3Schema: object({ spec, status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } }),
          },
        },
      ],
    },
  }));
