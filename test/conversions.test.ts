import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conversionFor, conversionTo, routeOf } from '../src/convert.js';
import { CONVERSIONS, structural } from '../src/conversions.js';
import type { ClusterInventory } from '../src/inventory.js';

// oxlint-disable-next-line typescript/no-explicit-any
type Fields = any;

const converted = (apiVersion: string, kind: string, body: object): Fields => {
  const conversion = CONVERSIONS.find((it) => it.from.includes(apiVersion) && it.kind.startsWith(`${kind}.`));
  assert.ok(conversion, `${kind} of ${apiVersion}`);
  return conversion.convert({ apiVersion, kind, metadata: { name: 'a', namespace: 'shop' }, ...body });
};

test('a time zone inside a schedule gets a field of its own', () => {
  for (const prefix of ['TZ', 'CRON_TZ']) {
    const { apiVersion, spec } = converted('batch/v1beta1', 'CronJob', {
      spec: { schedule: `${prefix}=Asia/Shanghai 0 3 * * *`, suspend: false },
    });
    assert.deepEqual(
      [apiVersion, spec],
      ['batch/v1', { schedule: '0 3 * * *', timeZone: 'Asia/Shanghai', suspend: false }],
    );
  }
  assert.deepEqual(converted('batch/v1beta1', 'CronJob', { spec: { schedule: '@daily' } }).spec, {
    schedule: '@daily',
  });
});

test('a budget that chose nothing still chooses nothing', () => {
  const { selector } = converted('policy/v1beta1', 'PodDisruptionBudget', { spec: { selector: {} } }).spec;
  assert.deepEqual(selector.matchExpressions[0].operator, 'Exists');
  assert.deepEqual(converted('policy/v1beta1', 'PodDisruptionBudget', { spec: { minAvailable: 1 } }).spec, {
    minAvailable: 1,
  });
});

test('backends of an Ingress become services, and a path without a type keeps its meaning', () => {
  const { spec } = converted('extensions/v1beta1', 'Ingress', {
    spec: {
      backend: { serviceName: 'web', servicePort: 'http' },
      rules: [
        { host: 'a', http: { paths: [{ path: '/', backend: { serviceName: 'web', servicePort: 80 } }] } },
        { host: 'b' },
      ],
    },
  });
  assert.deepEqual(spec, {
    defaultBackend: { service: { name: 'web', port: { name: 'http' } } },
    rules: [
      {
        host: 'a',
        http: {
          paths: [
            {
              path: '/',
              pathType: 'ImplementationSpecific',
              backend: { service: { name: 'web', port: { number: 80 } } },
            },
          ],
        },
      },
      { host: 'b' },
    ],
  });
});

test('metrics of an autoscaler say target and metric', () => {
  const { spec } = converted('autoscaling/v2beta1', 'HorizontalPodAutoscaler', {
    spec: {
      metrics: [
        { type: 'Resource', resource: { name: 'cpu', targetAverageUtilization: 60 } },
        { type: 'Pods', pods: { metricName: 'rps', targetAverageValue: '10' } },
        { type: 'Object', object: { metricName: 'hits', target: { kind: 'Ingress', name: 'a' }, targetValue: '5' } },
        {
          type: 'External',
          external: { metricName: 'queue', metricSelector: { matchLabels: { q: 'a' } }, targetValue: '3' },
        },
      ],
    },
  });
  assert.deepEqual(spec.metrics, [
    { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 60 } } },
    { type: 'Pods', pods: { metric: { name: 'rps' }, target: { type: 'AverageValue', averageValue: '10' } } },
    {
      type: 'Object',
      object: {
        metric: { name: 'hits' },
        describedObject: { kind: 'Ingress', name: 'a' },
        target: { type: 'Value', value: '5' },
      },
    },
    {
      type: 'External',
      external: {
        metric: { name: 'queue', selector: { matchLabels: { q: 'a' } } },
        target: { type: 'Value', value: '3' },
      },
    },
  ]);
});

test('a definition has its schema, columns and subresources in each version', () => {
  const { spec } = converted('apiextensions.k8s.io/v1beta1', 'CustomResourceDefinition', {
    spec: {
      group: 'example.com',
      version: 'v1',
      preserveUnknownFields: false,
      validation: { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object' } } } },
      additionalPrinterColumns: [{ name: 'Size', type: 'integer', JSONPath: '.spec.size' }],
      subresources: { status: {} },
      conversion: { strategy: 'Webhook', webhookClientConfig: { url: 'https://a' } },
    },
  });
  assert.deepEqual(spec, {
    group: 'example.com',
    conversion: {
      strategy: 'Webhook',
      webhook: { clientConfig: { url: 'https://a' }, conversionReviewVersions: ['v1beta1'] },
    },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object' } } } },
        subresources: { status: {} },
        additionalPrinterColumns: [{ name: 'Size', type: 'integer', jsonPath: '.spec.size' }],
      },
    ],
  });
});

test('a definition that kept unknown fields keeps them, also when it is read as v1', () => {
  const keeps = (definition: Fields) =>
    definition.spec.versions[0].schema.openAPIV3Schema['x-kubernetes-preserve-unknown-fields'];
  assert.equal(
    keeps(
      converted('apiextensions.k8s.io/v1beta1', 'CustomResourceDefinition', { spec: { group: 'g', version: 'v1' } }),
    ),
    true,
  );
  const asV1 = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'a' },
    spec: { group: 'g', preserveUnknownFields: true, versions: [{ name: 'v1', served: true, storage: true }] },
  };
  const read: Fields = structural(asV1);
  assert.deepEqual([keeps(read), read.spec.preserveUnknownFields], [true, undefined]);
});

test('what a webhook of the old version left out is written as it meant it', () => {
  const [hook] = converted('admissionregistration.k8s.io/v1beta1', 'ValidatingWebhookConfiguration', {
    webhooks: [{ name: 'a', sideEffects: 'Unknown' }],
  }).webhooks;
  assert.deepEqual(hook, {
    name: 'a',
    sideEffects: 'NoneOnDryRun',
    admissionReviewVersions: ['v1beta1'],
    failurePolicy: 'Ignore',
    matchPolicy: 'Exact',
    timeoutSeconds: 30,
  });
});

test('workloads of extensions say their selector and what was the default', () => {
  const template = { metadata: { labels: { app: 'a' } } };
  const old = converted('extensions/v1beta1', 'Deployment', {
    spec: { template, rollbackTo: { revision: 1 }, progressDeadlineSeconds: 2_147_483_647 },
  });
  assert.deepEqual(
    [old.apiVersion, old.spec],
    [
      'apps/v1',
      {
        template,
        selector: { matchLabels: { app: 'a' } },
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } },
      },
    ],
  );
  const set = converted('extensions/v1beta1', 'DaemonSet', { spec: { template, templateGeneration: 3 } });
  assert.deepEqual(set.spec, {
    template,
    selector: { matchLabels: { app: 'a' } },
    updateStrategy: { type: 'OnDelete' },
  });
  assert.deepEqual(converted('apps/v1beta2', 'StatefulSet', { spec: { template } }).spec.updateStrategy, undefined);
});

test('topology of an endpoint becomes node and zone', () => {
  const { endpoints } = converted('discovery.k8s.io/v1beta1', 'EndpointSlice', {
    endpoints: [
      {
        addresses: ['10.0.0.1'],
        topology: { 'kubernetes.io/hostname': 'n1', 'topology.kubernetes.io/zone': 'z', other: 'o' },
      },
    ],
  });
  assert.deepEqual(endpoints, [
    { addresses: ['10.0.0.1'], nodeName: 'n1', zone: 'z', deprecatedTopology: { other: 'o' } },
  ]);
});

const serving = (...list: [group: string, version: string, kind: string, preferred?: boolean][]): ClusterInventory =>
  ({
    served: list.map(([group, version, kind, preferred = true]) => ({
      group,
      version,
      kind,
      preferred,
      resource: `${kind.toLowerCase()}s`,
      namespaced: true,
      verbs: [],
    })),
  }) as unknown as ClusterInventory;

test('a version that both serve is preferred to a conversion, the source’s own first', () => {
  const source = serving(['g', 'v1beta1', 'Kind'], ['g', 'v1', 'Kind', false]);
  assert.deepEqual(routeOf('Kind.g', source, serving(['g', 'v1beta1', 'Kind', false], ['g', 'v1', 'Kind'])), {
    to: 'g/v1beta1',
    resource: 'kinds.g',
  });
  assert.deepEqual(routeOf('Kind.g', source, serving(['g', 'v1', 'Kind'])), {
    from: 'g/v1',
    to: 'g/v1',
    resource: 'kinds.g',
  });
  assert.equal(routeOf('Kind.g', source, serving(['g', 'v2', 'Kind'])), undefined);
});

test('without a common version the conversion leads to what the target serves, if it does', () => {
  const source = serving(['batch', 'v1beta1', 'CronJob']);
  assert.equal(
    routeOf('CronJob.batch', source, serving(['batch', 'v1', 'CronJob']))?.conversion,
    conversionTo('CronJob.batch', 'batch/v1'),
  );
  assert.equal(conversionFor('CronJob.batch', source, serving(['batch', 'v2', 'CronJob'])), undefined);
  assert.equal(
    conversionFor('PodSecurityPolicy.policy', serving(['policy', 'v1beta1', 'PodSecurityPolicy']), serving()),
    undefined,
  );
});
