import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { ControlPlane } from '../servers/control-plane.js';

/**
 * Many objects of real sizes for a real API server: Deployments as `kubectl apply` leaves them, with status; Services; ConfigMaps from
 * some hundred bytes to some hundred kilobytes; releases as Helm stores them. The same number gives the same world.
 */
export const NAMESPACES = Array.from({ length: 20 }, (_, index) => `team-${String(index).padStart(2, '0')}`);

/** Of each kind, by its share in the whole; Helm releases do not grow with the rest. */
export const MIX = { deployments: 0.2, services: 0.2, configMaps: 0.6 };

export interface Loaded {
  /** objects of each resource that are there now */
  deployments: number;
  services: number;
  configmaps: number;
  secrets: number;
}

export const countsFor = (objects: number, releases: number): Loaded => {
  const rest = objects - releases;
  const deployments = Math.round(rest * MIX.deployments);
  const services = Math.round(rest * MIX.services);
  return { deployments, services, configmaps: rest - deployments - services, secrets: releases };
};

const WRITERS = 24;

/** Makes what is there beyond `from` up to `to`. */
export async function load(plane: ControlPlane, from: Loaded, to: Loaded): Promise<void> {
  const making: (() => Promise<void>)[] = [];
  for (let n = from.deployments; n < to.deployments; n++) making.push(() => deploy(plane, n));
  for (let n = from.services; n < to.services; n++) making.push(() => create(plane, 'services', service(n)));
  for (let n = from.configmaps; n < to.configmaps; n++) making.push(() => create(plane, 'configmaps', configMap(n)));
  for (let n = from.secrets; n < to.secrets; n++) making.push(() => create(plane, 'secrets', release(n)));
  let next = 0;
  const writer = async () => {
    for (let make = making[next++]; make; make = making[next++]) await make();
  };
  await Promise.all(Array.from({ length: WRITERS }, writer));
}

export const namespaceOf = (n: number): string => NAMESPACES[n % NAMESPACES.length] ?? '';

interface Made {
  metadata: { name: string; namespace: string; annotations?: Record<string, string> } & Record<string, unknown>;
}

/** With the annotation that `kubectl apply` leaves. */
function applied<T extends Made>(object: T): T {
  const text = JSON.stringify(object);
  object.metadata.annotations = {
    ...object.metadata.annotations,
    'kubectl.kubernetes.io/last-applied-configuration': `${text}\n`,
  };
  return object;
}

async function create(plane: ControlPlane, resource: string, object: Made): Promise<void> {
  const group = resource === 'deployments' ? '/apis/apps/v1' : '/api/v1';
  await must(
    plane,
    'POST',
    `${group}/namespaces/${object.metadata.namespace}/${resource}?fieldManager=kubectl-client-side-apply`,
    object,
  );
}

async function must(
  plane: ControlPlane,
  method: string,
  path: string,
  body: object,
  contentType?: string,
): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const reply = await plane.request(method, path, body, contentType);
    if (reply.status < 300 || reply.status === 409) return;
    if (reply.status < 500 && reply.status !== 429)
      throw new Error(`${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`);
    if (attempt > 5) throw new Error(`${method} ${path}: ${reply.status}, again and again`);
  }
}

async function deploy(plane: ControlPlane, n: number): Promise<void> {
  const object = deployment(n);
  await create(plane, 'deployments', object);
  const now = '2026-11-02T08:00:00Z';
  const condition = (type: string, reason: string, message: string) => ({
    type,
    status: 'True',
    reason,
    message,
    lastUpdateTime: now,
    lastTransitionTime: now,
  });
  const status = {
    observedGeneration: 1,
    replicas: 2,
    updatedReplicas: 2,
    readyReplicas: 2,
    availableReplicas: 2,
    conditions: [
      condition(
        'Progressing',
        'NewReplicaSetAvailable',
        `ReplicaSet "${object.metadata.name}-5d4f8c7b9d" has successfully progressed.`,
      ),
      condition('Available', 'MinimumReplicasAvailable', 'Deployment has minimum availability.'),
    ],
  };
  await must(
    plane,
    'PATCH',
    `/apis/apps/v1/namespaces/${object.metadata.namespace}/deployments/${object.metadata.name}/status?fieldManager=kube-controller-manager`,
    { status },
    'application/merge-patch+json',
  );
}

const appName = (n: number) => `${WORDS[n % WORDS.length]}-${WORDS[(n * 7 + 3) % WORDS.length]}-${n}`;

function deployment(n: number) {
  const name = appName(n);
  const labels = {
    'app.kubernetes.io/name': name,
    'app.kubernetes.io/part-of': namespaceOf(n),
    'app.kubernetes.io/version': `1.${n % 30}.${n % 7}`,
    tier: n % 3 === 0 ? 'front' : 'back',
  };
  const probe = (path: string) => ({
    httpGet: { path, port: 8080, scheme: 'HTTP' },
    periodSeconds: 10,
    timeoutSeconds: 2,
    failureThreshold: 3,
  });
  return applied({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: namespaceOf(n), labels },
    spec: {
      replicas: 2,
      revisionHistoryLimit: 5,
      selector: { matchLabels: { 'app.kubernetes.io/name': name } },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: 0 } },
      template: {
        metadata: {
          labels,
          annotations: { 'prometheus.io/scrape': 'true', 'prometheus.io/port': '9100', 'checksum/config': hex(n, 64) },
        },
        spec: {
          serviceAccountName: 'default',
          terminationGracePeriodSeconds: 45,
          securityContext: { runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000 },
          topologySpreadConstraints: [
            {
              maxSkew: 1,
              topologyKey: 'topology.kubernetes.io/zone',
              whenUnsatisfiable: 'ScheduleAnyway',
              labelSelector: { matchLabels: { 'app.kubernetes.io/name': name } },
            },
          ],
          volumes: [
            { name: 'config', configMap: { name: `settings-${n}`, optional: true } },
            { name: 'tmp', emptyDir: {} },
          ],
          containers: [
            {
              name: 'app',
              image: `registry.example.com/${namespaceOf(n)}/${name}:1.${n % 30}.${n % 7}`,
              args: [
                'serve',
                '--listen=:8080',
                `--log-level=${n % 2 ? 'info' : 'warn'}`,
                `--upstream=http://${appName(n + 1)}.${namespaceOf(n + 1)}.svc:80`,
              ],
              env: [
                ...['LANG', 'TZ', 'APP_REGION', 'FEATURES'].map((it) => ({
                  name: it,
                  value: `${it.toLowerCase()}-${n % 11}`,
                })),
                { name: 'POD_IP', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'status.podIP' } } },
                { name: 'DB_PASSWORD', valueFrom: { secretKeyRef: { name: 'db', key: 'password', optional: true } } },
              ],
              ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
              resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { cpu: '1', memory: '512Mi' } },
              readinessProbe: probe('/ready'),
              livenessProbe: probe('/healthz'),
              lifecycle: { preStop: { exec: { command: ['sleep', '10'] } } },
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ['ALL'] },
              },
              volumeMounts: [
                { name: 'config', mountPath: '/etc/app' },
                { name: 'tmp', mountPath: '/tmp' },
              ],
            },
          ],
        },
      },
    },
  });
}

function service(n: number) {
  const name = appName(n);
  return applied({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name,
      namespace: namespaceOf(n),
      labels: { 'app.kubernetes.io/name': name, 'app.kubernetes.io/part-of': namespaceOf(n) },
    },
    spec: {
      selector: { 'app.kubernetes.io/name': name },
      ports: [
        { name: 'http', port: 80, targetPort: 'http', protocol: 'TCP' },
        { name: 'metrics', port: 9100, targetPort: 9100, protocol: 'TCP' },
      ],
    },
  });
}

/** Most are small, some are dashboards and rule files, and a few are near what a ConfigMap may hold. */
function configMap(n: number) {
  const size = n % 1000 === 999 ? 400_000 : n % 100 === 99 ? 40_000 : n % 10 === 9 ? 8000 : 400 + ((n * 37) % 1600);
  const object = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: `settings-${n}`, namespace: namespaceOf(n), labels: { 'app.kubernetes.io/name': appName(n) } },
    data: { 'app.yaml': settings(n, size), LOG_LEVEL: 'info' },
  };
  // kubectl apply refuses an annotation of more than 256 KiB, so great ones come by `kubectl create` or from an operator.
  return size > 30_000 ? object : applied(object);
}

function settings(n: number, size: number): string {
  const lines = [
    `# ${appName(n)}`,
    'server:',
    '  listen: 0.0.0.0:8080',
    `  upstream: http://${appName(n + 5)}.svc.cluster.local`,
  ];
  let length = lines.join('\n').length;
  for (let row = 0; length < size; row++) {
    const line =
      row % 9 === 0
        ? `${WORDS[(n + row) % WORDS.length]}-${row}:`
        : `  ${WORDS[(n * 3 + row) % WORDS.length]}_${row % 50}: "${WORDS[(row * 5) % WORDS.length]} ${(n * 31 + row * 17) % 9973}"`;
    lines.push(line);
    length += line.length + 1;
  }
  return `${lines.join('\n')}\n`;
}

/** @source helm/helm:pkg/storage/driver/secrets.go, util.go: JSON, gzip, base64, and base64 once more as a Secret's value */
function release(n: number) {
  const name = appName(n);
  const revision = 1 + (n % 3);
  const manifest = `---\n# Source: ${name}/templates/service.yaml\n${JSON.stringify(service(n))}\n---\n# Source: ${name}/templates/deployment.yaml\n${JSON.stringify(deployment(n))}\n`;
  // What a chart carries beside its manifest hardly repeats itself: templates, values, a readme.
  const chart = {
    metadata: { name, version: '1.2.3', apiVersion: 'v2' },
    templates: Array.from({ length: 8 }, (_, index) => ({
      name: `templates/${index}.yaml`,
      data: randomBytes(900).toString('base64'),
    })),
  };
  const stored = {
    name,
    namespace: namespaceOf(n),
    version: revision,
    info: { status: 'deployed', first_deployed: '2025-03-01T08:00:00Z', last_deployed: '2026-10-01T08:00:00Z' },
    chart,
    config: { replicas: 2 },
    manifest,
  };
  const packed = gzipSync(JSON.stringify(stored)).toString('base64');
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'helm.sh/release.v1',
    metadata: {
      name: `sh.helm.release.v1.${name}.v${revision}`,
      namespace: namespaceOf(n),
      labels: { owner: 'helm', name, status: 'deployed', version: String(revision) },
    },
    data: { release: Buffer.from(packed).toString('base64') },
  };
}

const hex = (n: number, length: number) =>
  Array.from({ length }, (_, index) => ((n * 2654435761 + index * 40503) >>> (index % 24)).toString(16).slice(-1)).join(
    '',
  );

const WORDS =
  'account audit basket billing cache catalog checkout claims courier coupon customer delivery discount export feed gateway history import invoice ledger loyalty mailer market media member menu notify order packing partner payment picking pricing profile promo quota refund report review router score search session shipping stock supplier survey tariff tax ticket tracker vendor voucher wallet warehouse'.split(
    ' ',
  );
