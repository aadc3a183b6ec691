import { MigrateError } from './errors.js';
import type { ProbeAnswer } from './inventory.js';
import { isReady } from './objects.js';
import { SIDES, type Clock, type Cluster, type KubeObject, type Right, type Side, type World } from './ports.js';

/**
 * A tiny echo workload on both sides, asked from a pod and from a node by every way that an API object leads to it. What kube-proxy
 * does with a call shows in no object, only in what becomes of the call. All of it lives in a namespace of its own, which is removed
 * whatever happens; one that a killed probe left is removed by the next.
 *
 * Not asked: the load balancer's address, calls from outside and from the other cluster, UDP. The first would need a load balancer
 * made for it, the others a place to call from.
 */
export interface ProbeOptions {
  /** with `sh`, `curl`, and the server of agnhost */
  image: string;
  /** for pods to start and to tell what they met */
  patienceMs: number;
  stopping(): boolean;
}

/** What answers `GET /clientip` with the caller's address. @source kubernetes/kubernetes:test/images/agnhost/netexec */
export const PROBE_IMAGE = 'registry.k8s.io/e2e-test-images/agnhost:2.53';

const MARK = 'migrate/probe';
const PORT = 8080;
const REMOVED_MS = 60_000;
/** One that is older was left by a process that died. */
const LEFT_MS = 15 * 60_000;

export class ProbeStopped extends Error {
  override name = 'ProbeStopped';
}

/** @throws ProbeStopped  when the operator stopped it; everything is removed then too */
export async function probeSides(
  world: Pick<World, 'source' | 'target' | 'clock'>,
  options: ProbeOptions,
): Promise<ProbeAnswer[]> {
  const answers = await Promise.allSettled(SIDES.map((side) => probe(side, world[side], world.clock, options)));
  // Both have cleaned up behind themselves before either is told of.
  return answers.flatMap((it) => {
    if (it.status === 'fulfilled') return it.value;
    throw it.reason;
  });
}

async function probe(side: Side, cluster: Cluster, clock: Clock, options: ProbeOptions): Promise<ProbeAnswer[]> {
  const unknown = (saw: string): ProbeAnswer[] => [{ side, ask: 'traffic', about: side, answer: 'unknown', saw }];
  const namespace = `migrate-probe-${clock.now().toString(36)}`;
  let made = false;
  let gone: ProbeAnswer[] = [];
  let answers: ProbeAnswer[];
  try {
    const lacks = (await cluster.can(rightsFor(namespace))).find((it) => !it.allowed);
    if (lacks) return unknown(`it lacks the right to ${lacks.verb} ${lacks.resource}`);
    await removeLeft(cluster, clock);
    const nodes = (await cluster.list('Node')).filter(isUsable);
    const [first] = nodes;
    if (!first) return unknown('no node is ready and open to pods');
    made = true;
    await cluster.create(namespaceObject(namespace));
    const told = await ask({ cluster, clock, options, namespace, server: first, client: nodes[1] ?? first });
    answers = typeof told === 'string' ? unknown(told) : told.map((it) => ({ side, ...it }));
  } catch (error) {
    if (!(error instanceof MigrateError)) throw error;
    answers = unknown(error.what);
  } finally {
    if (made)
      gone = [
        { side, ask: 'probe-removed', about: `namespace ${namespace}`, ...(await remove(namespace, cluster, clock)) },
      ];
  }
  return [...answers, ...gone];
}

/** What stays, for whatever reason, is told. */
async function remove(name: string, cluster: Cluster, clock: Clock): Promise<Pick<ProbeAnswer, 'answer' | 'saw'>> {
  try {
    await cluster.delete({ kind: 'Namespace', name }, { propagation: 'Background' });
    for (const deadline = clock.now() + REMOVED_MS; ; await clock.sleep(500)) {
      if (!(await cluster.get({ kind: 'Namespace', name }))) return { answer: 'yes', saw: 'gone' };
      if (clock.now() >= deadline) return { answer: 'no', saw: 'still there, although its removal was asked for' };
    }
  } catch (error) {
    if (!(error instanceof MigrateError)) throw error;
    return { answer: 'no', saw: `it was not removed: ${error.what}` };
  }
}

function rightsFor(namespace: string): Right[] {
  const inside = (verb: string, resource: string) => ({ verb, group: '', resource, namespace });
  return [
    ...['list', 'create', 'delete'].map((verb) => ({ verb, group: '', resource: 'namespaces' })),
    { verb: 'list', group: '', resource: 'nodes' },
    ...['create', 'get'].flatMap((verb) => ['pods', 'services'].map((resource) => inside(verb, resource))),
  ];
}

async function removeLeft(cluster: Cluster, clock: Clock): Promise<void> {
  for (const { metadata } of await cluster.list('Namespace', { labels: `${MARK}=true` })) {
    const ageMs = clock.now() - Date.parse(metadata.creationTimestamp ?? '');
    if (ageMs > LEFT_MS)
      await cluster.delete(
        { kind: 'Namespace', name: metadata.name },
        { ...(metadata.uid !== undefined && { uid: metadata.uid }), propagation: 'Background' },
      );
  }
}

const isUsable = (node: KubeObject): boolean => {
  const { unschedulable, taints = [] } = (node['spec'] ?? {}) as {
    unschedulable?: boolean;
    taints?: { effect: string }[];
  };
  return (
    isReady(node) &&
    unschedulable !== true &&
    taints.every((it) => it.effect === 'PreferNoSchedule') &&
    addressOf(node) !== undefined
  );
};

const addressOf = (node: KubeObject): string | undefined =>
  ((node['status']?.addresses ?? []) as { type: string; address: string }[]).find((it) => it.type === 'InternalIP')
    ?.address;

interface Desk {
  cluster: Cluster;
  clock: Clock;
  options: ProbeOptions;
  namespace: string;
  /** where the echo runs */
  server: KubeObject;
  /** from where it is called: another node, where there is one */
  client: KubeObject;
}

/** @returns why nothing can be told, in words */
async function ask(desk: Desk): Promise<Omit<ProbeAnswer, 'side'>[] | string> {
  const { cluster, namespace, options, server, client } = desk;
  await cluster.create(
    pod(
      namespace,
      'echo',
      options.image,
      server,
      { args: ['netexec', `--http-port=${PORT}`], readinessProbe: { httpGet: { path: '/clientip', port: PORT } } },
      { labels: { app: 'echo' } },
    ),
  );
  const services = await Promise.all(
    (['Cluster', 'Local'] as const).map((policy) => cluster.create(service(namespace, policy))),
  );
  const echo = await until(desk, 'echo', (it) => isReady(it));
  if (typeof echo === 'string') return echo;
  const [anywhere, local] = services as [KubeObject, KubeObject];
  const waysToIt = ways({ podIp: String(echo['status'].podIP), anywhere, local, server, client });
  const callers = [
    { from: 'pod', ways: waysToIt.filter((it) => it.from !== 'host'), host: false },
    { from: 'host', ways: waysToIt, host: true },
  ];
  const told = await Promise.all(
    callers.map(async ({ from, ways: all, host }) => {
      await cluster.create(
        pod(
          namespace,
          `from-${from}`,
          options.image,
          client,
          { command: ['sh', '-c', scriptFor(all)] },
          { spec: { hostNetwork: host } },
        ),
      );
      const done = await until(desk, `from-${from}`, (it) => messageOf(it) !== undefined);
      return typeof done === 'string' ? done : read(messageOf(done) ?? '', from, all, callerAddresses(done, client));
    }),
  );
  const why = told.find((it) => typeof it === 'string');
  return why ?? told.flatMap((it) => it as Omit<ProbeAnswer, 'side'>[]);
}

/** One way to the echo. */
interface Way {
  /** as the finding says it */
  to: string;
  url: string;
  /** for what only a node can call */
  from?: 'host';
}

function ways({
  podIp,
  anywhere,
  local,
  server,
  client,
}: {
  podIp: string;
  anywhere: KubeObject;
  local: KubeObject;
  server: KubeObject;
  client: KubeObject;
}): Way[] {
  const at = (host: string, port: unknown) =>
    `http://${host.includes(':') ? `[${host}]` : host}:${String(port)}/clientip`;
  const [here, there] = [addressOf(server) ?? '', addressOf(client) ?? ''];
  const nodePort = (it: KubeObject) => it['spec'].ports[0].nodePort as number;
  return [
    { to: 'pod address', url: at(podIp, PORT) },
    { to: 'cluster address', url: at(String(anywhere['spec'].clusterIP), PORT) },
    { to: 'node port, on the node of the pod', url: at(here, nodePort(anywhere)) },
    ...(here === there ? [] : [{ to: 'node port, on another node', url: at(there, nodePort(anywhere)) }]),
    { to: 'node port of policy Local, on the node of the pod', url: at(here, nodePort(local)) },
    ...(here === there ? [] : [{ to: 'node port of policy Local, on another node', url: at(there, nodePort(local)) }]),
    { to: '127.0.0.1 and the node port', url: at('127.0.0.1', nodePort(anywhere)), from: 'host' as const },
    { to: PROXY_MODE, url: 'http://127.0.0.1:10249/proxyMode', from: 'host' as const },
  ];
}

/** What kube-proxy runs in, which may not be what its configuration asks for. */
const PROXY_MODE = 'proxy mode';

/** Each way once; what curl answers, or the code with which it ends. */
const scriptFor = (all: readonly Way[]) =>
  [
    `while read -r n url; do if a=$(curl -s -f -m 3 "$url"); then echo "$n yes $a"; else echo "$n no $?"; fi; done > /dev/termination-log <<'END'`,
    ...all.map((it, index) => `${index} ${it.url}`),
    'END',
  ].join('\n');

/** @source curl's manual page: exit codes */
const CURL: Record<string, string> = {
  7: 'refused',
  28: 'no answer in 3 s',
  22: 'answered by something else',
  52: 'cut without an answer',
  56: 'cut',
};

function read(message: string, from: string, all: readonly Way[], own: readonly string[]): Omit<ProbeAnswer, 'side'>[] {
  const lines = new Map(message.split('\n').map((line) => [line.split(' ')[0], line.split(' ')]));
  return all.map((way, index): Omit<ProbeAnswer, 'side'> => {
    const [, answer, text = ''] = lines.get(String(index)) ?? [];
    const about = `${from} to ${way.to}`;
    if (way.to === PROXY_MODE)
      return {
        ask: 'proxy-mode',
        about: PROXY_MODE,
        answer: answer === 'yes' ? 'yes' : 'unknown',
        saw: answer === 'yes' ? text : 'kube-proxy does not tell',
      };
    if (answer === 'yes')
      return {
        ask: 'traffic',
        about,
        answer,
        saw: own.includes(text.replace(/:\d+$/, '').replace(/^\[|\]$/g, ''))
          ? 'answered; it saw the address of the caller'
          : 'answered; it saw another address',
      };
    if (answer === 'no') return { ask: 'traffic', about, answer, saw: CURL[text] ?? `curl ended with ${text}` };
    return { ask: 'traffic', about, answer: 'unknown', saw: 'the pod does not tell of it' };
  });
}

function callerAddresses(it: KubeObject, node: KubeObject): string[] {
  const own: unknown = it['status']?.podIP;
  const ofNode = it['spec']?.hostNetwork === true ? addressOf(node) : undefined;
  return [own, ofNode].filter((one): one is string => typeof one === 'string');
}

/** @returns the pod, or why it did not get there */
async function until(
  { cluster, clock, options, namespace }: Desk,
  name: string,
  isThere: (it: KubeObject) => boolean,
): Promise<KubeObject | string> {
  const deadline = clock.now() + options.patienceMs;
  for (;;) {
    if (options.stopping()) throw new ProbeStopped();
    const now = await cluster.get({ kind: 'Pod', namespace, name });
    if (now && isThere(now)) return now;
    if (clock.now() >= deadline) return `pod ${name} of the probe: ${now ? stateOf(now) : 'it is gone'}`;
    await clock.sleep(500);
  }
}

function stateOf({ status = {} }: KubeObject): string {
  const waiting = status.containerStatuses?.[0]?.state?.waiting;
  const unscheduled = ((status.conditions ?? []) as { type: string; status: string; message?: string }[]).find(
    (it) => it.type === 'PodScheduled' && it.status === 'False',
  );
  return String(
    waiting?.message ?? waiting?.reason ?? unscheduled?.message ?? `still ${status.phase ?? 'Pending'}`,
  ).slice(0, 300);
}

const messageOf = (it: KubeObject): string | undefined =>
  it['status']?.containerStatuses?.[0]?.state?.terminated?.message as string | undefined;

// ---- what is made

/** Its pods reach into the node's network, which a strict namespace would not have. */
const namespaceObject = (name: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels: { [MARK]: 'true', 'pod-security.kubernetes.io/enforce': 'privileged' } },
});

const service = (namespace: string, policy: 'Cluster' | 'Local'): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: `echo-${policy.toLowerCase()}`, namespace },
  spec: {
    type: 'NodePort',
    externalTrafficPolicy: policy,
    selector: { app: 'echo' },
    ports: [{ port: PORT, targetPort: PORT }],
  },
});

/** By its name, as DaemonSets do: a label may be missing. */
const onNode = ({ metadata }: KubeObject) => ({
  matchFields: [{ key: 'metadata.name', operator: 'In', values: [metadata.name] }],
});

function pod(
  namespace: string,
  name: string,
  image: string,
  node: KubeObject,
  container: object,
  { labels = {}, spec = {} }: { labels?: Record<string, string>; spec?: object },
): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels },
    spec: {
      affinity: {
        nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [onNode(node)] } },
      },
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: 'probe',
          image,
          resources: { requests: { cpu: '10m', memory: '16Mi' }, limits: { memory: '64Mi' } },
          ...container,
        },
      ],
      ...spec,
    },
  };
}
