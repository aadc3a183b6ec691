import type { KubernetesObject as KubeObject } from './control-plane.js';

/** One object of the source, where it is posted, and what the target must have of it before anything starts; undefined: it stays. */
export interface Sent {
  path: string;
  object: KubeObject;
  /** where it must be on the target, and every field of it */
  expect?: { path: string; object: KubeObject };
  /** `kind namespace/name` and why the preview must refuse it */
  refused?: { about: string; reason: string };
}

const OLD = 'registry-old.example.com';
const NEW = 'registry-new.example.com';

const meta = (name: string, more: KubeObject = {}) => ({ name, ...more });
const pods = (app: string, more: KubeObject = {}) => ({
  metadata: { labels: { app } },
  spec: {
    containers: [{ name: 'main', image: `${OLD}/team/${app}:1`, env: [{ name: 'MODE', value: 'live' }] }],
    ...more,
  },
});
/** Images by the map of registries. */
const moved = <T>(value: T): T => JSON.parse(JSON.stringify(value).replaceAll(`${OLD}/`, `${NEW}/`)) as T;

const NAMESPACES = ['shop', 'pay', 'ops'] as const;
type Namespace = (typeof NAMESPACES)[number];

const placeOf = (namespace: string, api: string, resource: string) => `${api}/namespaces/${namespace}/${resource}`;

/** Same place, same fields on both sides. */
function same(namespace: Namespace, api: string, resource: string, object: KubeObject, as: KubeObject = object): Sent {
  const path = placeOf(namespace, api, resource);
  return { path, object, expect: { path: `${path}/${object.metadata.name}`, object: as } };
}

/** Read back in another version than it was written in. */
function becomes(
  namespace: Namespace,
  from: string,
  to: string,
  resource: string,
  object: KubeObject,
  as: KubeObject,
): Sent {
  return {
    path: placeOf(namespace, from, resource),
    object,
    expect: { path: `${placeOf(namespace, to, resource)}/${object.metadata.name}`, object: as },
  };
}

const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));

/** Two hundred objects of more than 25 kinds, in three namespaces and outside them. */
export function applications(): { definitions: Sent[]; objects: Sent[] } {
  return {
    definitions: definitions(),
    objects: [...outside(), ...NAMESPACES.flatMap((it) => inside(it)), ...custom(), ...obstacles(), ...staying()],
  };
}

const widget = {
  type: 'object',
  properties: { spec: { type: 'object', properties: { size: { type: 'integer' }, color: { type: 'string' } } } },
};

function definitions(): Sent[] {
  const names = (kind: string) => ({
    kind,
    listKind: `${kind}List`,
    plural: `${kind.toLowerCase()}s`,
    singular: kind.toLowerCase(),
  });
  const api = '/apis/apiextensions.k8s.io';
  return [
    {
      path: `${api}/v1/customresourcedefinitions`,
      object: {
        metadata: meta('widgets.example.com'),
        spec: {
          group: 'example.com',
          scope: 'Namespaced',
          names: names('Widget'),
          versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: widget } }],
        },
      },
      expect: {
        path: `${api}/v1/customresourcedefinitions/widgets.example.com`,
        object: { spec: { group: 'example.com', scope: 'Namespaced' } },
      },
    },
    {
      // Written for the old version, without a schema: everything is kept.
      path: `${api}/v1beta1/customresourcedefinitions`,
      object: {
        metadata: meta('gadgets.example.org'),
        spec: { group: 'example.org', version: 'v1alpha1', scope: 'Namespaced', names: names('Gadget') },
      },
      expect: {
        path: `${api}/v1/customresourcedefinitions/gadgets.example.org`,
        object: { spec: { group: 'example.org' } },
      },
    },
  ];
}

function custom(): Sent[] {
  return [
    ...times(8, (it) =>
      same('shop', '/apis/example.com/v1', 'widgets', {
        apiVersion: 'example.com/v1',
        kind: 'Widget',
        metadata: meta(`widget-${it}`),
        spec: { size: it, color: 'red' },
      }),
    ),
    ...times(5, (it) =>
      same('ops', '/apis/example.org/v1alpha1', 'gadgets', {
        apiVersion: 'example.org/v1alpha1',
        kind: 'Gadget',
        metadata: meta(`gadget-${it}`),
        spec: { anything: { at: { all: it } } },
      }),
    ),
  ];
}

function outside(): Sent[] {
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  const hooks = '/apis/admissionregistration.k8s.io';
  const all = (api: string, resource: string, object: KubeObject): Sent => ({
    path: `${api}/${resource}`,
    object,
    expect: { path: `${api}/${resource}/${object.metadata.name}`, object },
  });
  const rules = [{ verbs: ['get'], apiGroups: [''], resources: ['nodes'] }];
  return [
    all('/apis/scheduling.k8s.io/v1', 'priorityclasses', {
      metadata: meta('first'),
      value: 1000,
      description: 'first of all',
    }),
    all(rbac, 'clusterroles', { metadata: meta('node-reader'), rules }),
    all(rbac, 'clusterrolebindings', {
      metadata: meta('shop-reads-nodes'),
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'node-reader' },
      subjects: [{ kind: 'ServiceAccount', name: 'account-0', namespace: 'shop' }],
    }),
    {
      path: `${hooks}/v1beta1/validatingwebhookconfigurations`,
      object: {
        metadata: meta('gate'),
        webhooks: [
          {
            name: 'gate.example.com',
            clientConfig: { service: { namespace: 'ops', name: 'app-0', path: '/validate' } },
            rules: [
              { apiGroups: ['example.com'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['widgets'] },
            ],
            objectSelector: { matchLabels: { asked: 'yes' } },
            sideEffects: 'None',
          },
        ],
      },
    },
  ];
}

function inside(namespace: Namespace): Sent[] {
  const core = '/api/v1';
  const apps = '/apis/apps/v1';
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  const selector = (app: string) => ({ matchLabels: { app } });
  const replicas = (it: number) => (it % 3) + 1;
  return [
    ...times(14, (it) =>
      same(namespace, core, 'configmaps', {
        metadata: meta(`config-${it}`, { labels: { part: 'config' } }),
        data: { key: `value ${it}`, 'odd.key': 'ä\nö' },
      }),
    ),
    ...times(6, (it) =>
      same(namespace, core, 'secrets', {
        metadata: meta(`secret-${it}`),
        type: 'Opaque',
        data: { password: Buffer.from(`hidden-${namespace}-${it}`).toString('base64') },
      }),
    ),
    ...times(3, (it) =>
      same(namespace, core, 'serviceaccounts', {
        metadata: meta(`account-${it}`, { annotations: { 'example.com/owner': 'team' } }),
        imagePullSecrets: [{ name: 'secret-0' }],
      }),
    ),
    ...times(5, (it) =>
      same(namespace, core, 'services', {
        metadata: meta(`app-${it}`),
        spec: {
          type: 'ClusterIP',
          selector: { app: `app-${it}` },
          ports: [{ name: 'http', port: 80, targetPort: 8080 }],
        },
      }),
    ),
    same(namespace, core, 'services', {
      metadata: meta('headless'),
      spec: { clusterIP: 'None', selector: { app: 'db' }, ports: [{ port: 5432 }] },
    }),
    same(namespace, core, 'services', {
      metadata: meta('elsewhere'),
      spec: { type: 'ExternalName', externalName: 'db.example.com' },
    }),
    ...times(5, (it) => {
      const object = {
        metadata: meta(`app-${it}`),
        spec: {
          replicas: replicas(it),
          selector: selector(`app-${it}`),
          strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 2, maxUnavailable: 0 } },
          template: pods(`app-${it}`, it === 0 ? { priorityClassName: 'first' } : {}),
        },
      };
      return same(namespace, apps, 'deployments', object, moved({ ...object, spec: { ...object.spec, replicas: 0 } }));
    }),
    ...times(2, (it) => {
      const claim = (storageClassName: string) => ({
        metadata: { name: 'data' },
        spec: { accessModes: ['ReadWriteOnce'], storageClassName, resources: { requests: { storage: '20Gi' } } },
      });
      const spec = (storageClassName: string, count: number) => ({
        replicas: count,
        serviceName: 'headless',
        selector: selector(`db-${it}`),
        template: pods(`db-${it}`),
        volumeClaimTemplates: [claim(storageClassName)],
      });
      return same(
        namespace,
        apps,
        'statefulsets',
        { metadata: meta(`db-${it}`), spec: spec('slow', 0) },
        moved({ metadata: meta(`db-${it}`), spec: spec('fast', 0) }),
      );
    }),
    (() => {
      const object = {
        metadata: meta('agent'),
        spec: { selector: selector('agent'), template: pods('agent', { nodeSelector: { role: 'none' } }) },
      };
      return same(namespace, apps, 'daemonsets', object, moved(object));
    })(),
    ...times(3, (it) => {
      const template = {
        spec: {
          template: { spec: { restartPolicy: 'Never', containers: [{ name: 'job', image: `${OLD}/team/job:${it}` }] } },
        },
      };
      const schedule = `${it} 3 * * *`;
      const expected = {
        schedule,
        suspend: true,
        jobTemplate: moved(template),
        concurrencyPolicy: 'Forbid',
      };
      return becomes(
        namespace,
        '/apis/batch/v1beta1',
        '/apis/batch/v1',
        'cronjobs',
        {
          metadata: meta(`job-${it}`),
          spec: { schedule, suspend: it === 2, concurrencyPolicy: 'Forbid', jobTemplate: template },
        },
        { metadata: meta(`job-${it}`), spec: expected },
      );
    }),
    ...times(2, (it) =>
      becomes(
        namespace,
        '/apis/policy/v1beta1',
        '/apis/policy/v1',
        'poddisruptionbudgets',
        { metadata: meta(`budget-${it}`), spec: { minAvailable: 1, selector: it === 0 ? {} : selector('app-1') } },
        {
          metadata: meta(`budget-${it}`),
          spec: {
            minAvailable: 1,
            selector:
              it === 0
                ? {
                    matchExpressions: [
                      { key: 'pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match', operator: 'Exists' },
                    ],
                  }
                : selector('app-1'),
          },
        },
      ),
    ),
    ...times(2, (it) => {
      const spec = {
        minReplicas: 1,
        maxReplicas: 5 + it,
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: `app-${it}` },
        metrics: [
          { type: 'Resource', resource: { name: 'memory', target: { type: 'Utilization', averageUtilization: 70 } } },
        ],
      };
      return becomes(
        namespace,
        '/apis/autoscaling/v2beta2',
        '/apis/autoscaling/v2',
        'horizontalpodautoscalers',
        { metadata: meta(`scaler-${it}`), spec },
        { metadata: meta(`scaler-${it}`), spec },
      );
    }),
    ...times(2, (it) =>
      becomes(
        namespace,
        '/apis/extensions/v1beta1',
        '/apis/networking.k8s.io/v1',
        'ingresses',
        {
          metadata: meta(`way-${it}`, { annotations: { 'kubernetes.io/ingress.class': 'nginx' } }),
          spec: {
            rules: [
              {
                host: `${namespace}-${it}.example.com`,
                http: {
                  paths: [{ path: '/', backend: { serviceName: 'app-0', servicePort: it === 0 ? 80 : 'http' } }],
                },
              },
            ],
          },
        },
        {
          metadata: meta(`way-${it}`, { annotations: { 'kubernetes.io/ingress.class': 'nginx' } }),
          spec: {
            rules: [
              {
                host: `${namespace}-${it}.example.com`,
                http: {
                  paths: [
                    {
                      path: '/',
                      pathType: 'ImplementationSpecific',
                      backend: { service: { name: 'app-0', port: it === 0 ? { number: 80 } : { name: 'http' } } },
                    },
                  ],
                },
              },
            ],
          },
        },
      ),
    ),
    ...times(2, (it) =>
      same(namespace, '/apis/networking.k8s.io/v1', 'networkpolicies', {
        metadata: meta(`wall-${it}`),
        spec: {
          podSelector: { matchLabels: { app: `app-${it}` } },
          policyTypes: ['Ingress'],
          ingress: [{ from: [{ podSelector: {} }], ports: [{ protocol: 'TCP', port: 8080 }] }],
        },
      }),
    ),
    ...times(2, (it) =>
      same(namespace, rbac, 'roles', {
        metadata: meta(`role-${it}`),
        rules: [{ verbs: ['get', 'list'], apiGroups: [''], resources: ['configmaps'] }],
      }),
    ),
    ...times(2, (it) =>
      same(namespace, rbac, 'rolebindings', {
        metadata: meta(`binding-${it}`),
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: `role-${it}` },
        subjects: [{ kind: 'ServiceAccount', name: `account-${it}`, namespace }],
      }),
    ),
    same(namespace, core, 'limitranges', {
      metadata: meta('limits'),
      spec: {
        limits: [
          {
            type: 'Container',
            default: { cpu: '500m', memory: '512Mi' },
            defaultRequest: { cpu: '100m', memory: '128Mi' },
          },
        ],
      },
    }),
    same(namespace, core, 'resourcequotas', {
      metadata: meta('room'),
      spec: { hard: { 'count/configmaps': '500', pods: '200' } },
    }),
    ancient(namespace),
    same(
      namespace,
      core,
      'persistentvolumeclaims',
      {
        metadata: meta('files'),
        spec: {
          accessModes: ['ReadWriteOnce'],
          storageClassName: 'slow',
          resources: { requests: { storage: '20Gi' } },
        },
      },
      {
        metadata: meta('files'),
        spec: {
          accessModes: ['ReadWriteOnce'],
          storageClassName: 'fast',
          resources: { requests: { storage: '20Gi' } },
        },
      },
    ),
  ];
}

/** In one namespace the target has no room for any. */
function ancient(namespace: Namespace): Sent {
  const sent = same(namespace, '/api/v1', 'replicationcontrollers', {
    metadata: meta('ancient'),
    spec: { replicas: 0, selector: { app: 'ancient' }, template: pods('ancient') },
  });
  const { expect: _none, ...rest } = sent;
  return namespace === 'pay'
    ? { ...rest, refused: { about: 'replicationcontroller pay/ancient', reason: 'quota' } }
    : sent;
}

/** What the target refuses, each for another reason. */
function obstacles(): Sent[] {
  const refused = (about: string, reason: string) => ({ refused: { about, reason } });
  const core = '/api/v1';
  return [
    {
      path: placeOf('shop', core, 'services'),
      object: {
        metadata: meta('front'),
        spec: { type: 'NodePort', selector: { app: 'app-0' }, ports: [{ port: 80, nodePort: 31_080 }] },
      },
      ...refused('service shop/front', 'node-port'),
    },
    {
      path: placeOf('shop', core, 'configmaps'),
      object: { metadata: meta('guarded', { labels: { guarded: 'yes' } }), data: {} },
      ...refused('configmap shop/guarded', 'webhook-not-up'),
    },
    {
      path: placeOf('pay', '/apis/apps/v1', 'replicasets'),
      object: {
        metadata: meta('alone'),
        spec: { replicas: 0, selector: { matchLabels: { app: 'x' } }, template: pods('x') },
      },
    },
    {
      path: placeOf('pay', core, 'persistentvolumeclaims'),
      object: {
        metadata: meta('odd'),
        spec: { accessModes: ['ReadWriteOnce'], storageClassName: 'odd', resources: { requests: { storage: '1Gi' } } },
      },
      ...refused('persistentvolumeclaim pay/odd', 'storage-class'),
    },
    {
      path: placeOf('pay', core, 'configmaps'),
      object: { metadata: meta('settings'), data: { mode: 'old' } },
      ...refused('configmap pay/settings', 'existing-object'),
    },
    {
      path: placeOf('ops', '/apis/apps/v1', 'deployments'),
      object: {
        metadata: meta('far'),
        spec: {
          replicas: 0,
          selector: { matchLabels: { app: 'far' } },
          template: {
            metadata: { labels: { app: 'far' } },
            spec: { containers: [{ name: 'c', image: 'unreachable.example.net/far:1' }] },
          },
        },
      },
      ...refused('deployment ops/far', 'image-registry'),
    },
    {
      path: '/apis/policy/v1beta1/podsecuritypolicies',
      object: {
        metadata: meta('strict'),
        spec: {
          privileged: false,
          seLinux: { rule: 'RunAsAny' },
          runAsUser: { rule: 'RunAsAny' },
          fsGroup: { rule: 'RunAsAny' },
          supplementalGroups: { rule: 'RunAsAny' },
          volumes: ['*'],
        },
      },
      ...refused('podsecuritypolicy strict', 'api-not-served'),
    },
  ];
}

/** What never travels. */
function staying(): Sent[] {
  return [
    {
      path: placeOf('shop', '/api/v1', 'secrets'),
      object: {
        metadata: meta('account-0-token-x', { annotations: { 'kubernetes.io/service-account.name': 'account-0' } }),
        type: 'kubernetes.io/service-account-token',
      },
    },
    {
      path: placeOf('shop', '/api/v1', 'configmaps'),
      object: { metadata: meta('not-this', { labels: { 'velero.io/exclude-from-backup': 'true' } }), data: {} },
    },
    {
      path: placeOf('shop', '/api/v1', 'events'),
      object: { metadata: meta('once'), involvedObject: { kind: 'Pod', namespace: 'shop', name: 'x' }, reason: 'Test' },
    },
    {
      path: placeOf('ops', '/apis/coordination.k8s.io/v1', 'leases'),
      object: { metadata: meta('leader'), spec: { holderIdentity: 'old' } },
    },
    {
      path: placeOf('ops', '/apis/batch/v1', 'jobs'),
      object: {
        metadata: meta('done'),
        spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: `${OLD}/job:1` }] } } },
      },
    },
  ];
}

/** What stands in the way on the target. */
export function obstruction(): { path: string; object: KubeObject }[] {
  return [
    {
      path: '/apis/storage.k8s.io/v1/storageclasses',
      object: { metadata: meta('fast'), provisioner: 'example.com/disk' },
    },
    { path: '/api/v1/namespaces', object: { metadata: meta('pay') } },
    {
      path: placeOf('default', '/api/v1', 'services'),
      object: {
        metadata: meta('taken'),
        spec: { type: 'NodePort', selector: { app: 'taken' }, ports: [{ port: 80, nodePort: 31_080 }] },
      },
    },
    { path: placeOf('pay', '/api/v1', 'configmaps'), object: { metadata: meta('settings'), data: { mode: 'new' } } },
    {
      path: placeOf('pay', '/api/v1', 'resourcequotas'),
      object: { metadata: meta('none-of-these'), spec: { hard: { replicationcontrollers: '0' } } },
    },
    {
      path: '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations',
      object: {
        metadata: meta('guard'),
        webhooks: [
          {
            name: 'guard.example.com',
            clientConfig: { service: { namespace: 'default', name: 'nobody' } },
            rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] }],
            objectSelector: { matchLabels: { guarded: 'yes' } },
            sideEffects: 'None',
            admissionReviewVersions: ['v1'],
            failurePolicy: 'Fail',
          },
        ],
      },
    },
  ];
}
