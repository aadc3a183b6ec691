import { existsSync } from 'node:fs';
import { MigrateError } from '../errors.js';
import type { EndedEvent } from '../events.js';
import { clusterOver } from '../kube/cluster.js';
import { connect } from '../kube/connection.js';
import { lbAnnotation, pathOf, splitPath, zoneOf } from '../objects.js';
import { parsePlaybook } from '../playbook.js';
import type { Cluster, KubeObject, Side } from '../ports.js';
import { count, nearest } from '../words.js';
import { ALONE } from '../../checks/workloads/singletons.js';
import { draftOf, type Draft, type DraftService } from './draft.js';
import type { Flags } from './flags.js';
import type { Io } from './program.js';
import { writeWhole } from './session.js';
import { usage } from './usage.js';
import { plainTap, wallClock } from './world.js';

export interface InitFlags extends Flags {
  source?: string;
  target?: string;
  name?: string;
  namespaces?: string;
  service?: string;
  region?: string;
  file: string;
  force?: boolean;
}

/** `migrate init`: what two clusters show, what the operator adds, as a playbook that parses. Written whole or not at all. */
export async function init(flags: InitFlags, io: Io): Promise<EndedEvent> {
  if (existsSync(flags.file) && !flags.force) {
    throw new MigrateError('FILE_EXISTS', {
      what: `${flags.file} is there already.`,
      why: 'It may hold what somebody wrote by hand.',
      fix: 'Write to another one with --file, or add --force.',
    });
  }
  const contexts = await contextsIn(flags.kubeconfig);
  const sourceContext = await choose('source', flags.source, contexts, io);
  const targetContext = await choose('target', flags.target, contexts, io);
  if (sourceContext === targetContext)
    throw usage(
      `Source and target are both "${sourceContext}".`,
      'A cluster can not move onto itself.',
      'Name two contexts with --source and --target.',
    );
  const [source, target] = await Promise.all([
    look('source', sourceContext, flags),
    look('target', targetContext, flags),
  ]);
  if (source.uid === target.uid) {
    throw new MigrateError('PLAN_SAME_CLUSTER', {
      what: `Contexts ${sourceContext} and ${targetContext} lead to the same cluster.`,
      why: `Both have a kube-system namespace with uid ${source.uid}.`,
      fix: 'Name two clusters with --source and --target.',
    });
  }
  const namespaces = await chooseNamespaces(flags, source, io);
  const draft = { ...(await draftFrom(flags, source, target, namespaces)), sourceContext, targetContext };
  const text = draftOf(draft);
  // What does not parse is not written: a draft that needs mending first is worse than none.
  parsePlaybook(text, flags.file);
  writeWhole(flags.file, text);
  io.emit({
    type: 'written',
    file: flags.file,
    what: `${count(namespaces.length, 'namespace')}, ${count(draft.services.length, 'service')}`,
  });
  return {
    type: 'ended',
    outcome: 'done',
    exit: 0,
    output: flags.file,
    next: `read ${flags.file} and its comments, then migrate preflight -f ${flags.file}`,
  };
}

interface Seen {
  uid: string;
  version: string;
  nodes: KubeObject[];
  namespaces: string[];
  services: KubeObject[];
  claims: KubeObject[];
  classes: KubeObject[];
  locations: KubeObject[];
  /** names and labels alone */
  deployments: KubeObject[];
}

async function look(side: Side, context: string, { kubeconfig, timeout }: InitFlags): Promise<Seen> {
  const cluster = clusterOver(
    await connect({
      side,
      context,
      clock: wallClock,
      tap: plainTap,
      timeoutMs: timeout ?? 30_000,
      patienceMs: 10_000,
      ...(kubeconfig !== undefined && { kubeconfig }),
    }),
  );
  const [identity, nodes, namespaces, services, claims, classes, locations, deployments] = await Promise.all([
    cluster.identify(),
    all(cluster, 'Node'),
    all(cluster, 'Namespace'),
    all(cluster, 'Service'),
    all(cluster, 'PersistentVolumeClaim'),
    all(cluster, 'StorageClass.storage.k8s.io'),
    all(cluster, 'BackupStorageLocation.velero.io'),
    all(cluster, 'Deployment.apps', 'metadata'),
  ]);
  return {
    ...identity,
    nodes,
    namespaces: namespaces.map((it) => it.metadata.name),
    services,
    claims,
    classes,
    locations,
    deployments,
  };
}

/** What can't be read is left for the operator to write: the draft says so. */
async function all(cluster: Cluster, kind: string, only?: 'metadata'): Promise<KubeObject[]> {
  try {
    return await cluster.list(kind, only && { only });
  } catch (error) {
    if (error instanceof MigrateError && (error.code === 'KUBE_FORBIDDEN' || error.code === 'KUBE_NOT_SERVED'))
      return [];
    throw error;
  }
}

async function contextsIn(kubeconfig: string | undefined): Promise<string[]> {
  const { KubeConfig } = await import('@kubernetes/client-node/dist/config.js');
  const config = new KubeConfig();
  try {
    if (kubeconfig === undefined) config.loadFromDefault(undefined, false);
    else config.loadFromFile(kubeconfig);
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new MigrateError('KUBECONFIG_INVALID', {
      what: `The kubeconfig ${kubeconfig ?? '($KUBECONFIG or ~/.kube/config)'} can't be read.`,
      why: missing ? 'There is no such file.' : 'It is not a valid kubeconfig.',
      fix: 'Name another with --kubeconfig.',
    });
  }
  return config.getContexts().flatMap((it) => (it.name === 'loaded-context' ? [] : [it.name]));
}

async function choose(side: Side, given: string | undefined, contexts: readonly string[], io: Io): Promise<string> {
  const typed =
    given ?? (io.interactive ? (await io.ask(`Context of the ${side} cluster (${contexts.join(', ')}): `)).trim() : '');
  if (typed === '')
    throw usage(
      `The ${side}'s context is not named.`,
      `The kubeconfig has: ${contexts.join(', ') || 'none'}. None is ever taken by default.`,
      `Name it: --${side} CONTEXT.`,
    );
  if (contexts.includes(typed)) return typed;
  const meant = nearest(typed, contexts);
  throw new MigrateError('CONTEXT_UNKNOWN', {
    what: `The kubeconfig has no context "${typed}" for the ${side}.`,
    why: `It has: ${contexts.join(', ') || 'none'}.`,
    fix: meant === undefined ? `Name one of them: --${side} CONTEXT.` : `Did you mean --${side} ${meant}?`,
  });
}

const SYSTEM = /^(kube-.*|velero|ack-.*|arms-.*|istio-system|cert-manager|gatekeeper-system)$/;

async function chooseNamespaces({ namespaces }: InitFlags, source: Seen, io: Io): Promise<string[]> {
  const own = source.namespaces.filter(
    (it) =>
      !SYSTEM.test(it) &&
      (it !== 'default' ||
        source.services.some(
          (service) => service.metadata.namespace === 'default' && service.metadata.name !== 'kubernetes',
        )),
  );
  const typed = namespaces ?? (io.interactive ? (await io.ask(`Namespaces to bring (${own.join(',')}): `)).trim() : '');
  const wanted =
    typed === ''
      ? own
      : typed
          .split(',')
          .map((it) => it.trim())
          .filter((it) => it !== '');
  const missing = wanted.find((it) => !source.namespaces.includes(it));
  if (missing !== undefined) {
    const meant = nearest(missing, source.namespaces);
    throw usage(
      `The source has no namespace "${missing}".`,
      `It has: ${own.join(', ') || 'none of its own'}.`,
      meant === undefined ? 'Name others with --namespaces.' : `Did you mean ${meant}?`,
    );
  }
  if (wanted.length === 0)
    throw usage(
      'There is no namespace to bring.',
      'The source has none besides those of the system.',
      'Name them with --namespaces a,b.',
    );
  return wanted;
}

async function draftFrom(
  flags: InitFlags,
  source: Seen,
  target: Seen,
  namespaces: string[],
): Promise<Omit<Draft, 'sourceContext' | 'targetContext'>> {
  const region = flags.region ?? regionOf(source.nodes);
  const targetRegion = regionOf(target.nodes);
  const [location] = target.locations.length > 0 ? target.locations : source.locations;
  const zones = [...new Set(target.nodes.map(zoneOf).filter((it) => it !== undefined))].sort();
  return {
    name: flags.name ?? namespaces[0] ?? 'move',
    versions: { source: source.version, target: target.version },
    ...(region !== undefined && { region }),
    ...(targetRegion !== undefined && targetRegion !== region && { targetRegion }),
    namespaces,
    storageClasses: mappingOf(source, target, namespaces),
    ...(location && {
      velero: { namespace: location.metadata.namespace ?? 'velero', storageLocation: location.metadata.name },
    }),
    zones,
    services: servicesOf(flags, source, namespaces),
    alone: aloneOf(source, namespaces),
  };
}

/** What looks as if it worked by itself, by its name; a look into it is preflight's. */
const aloneOf = ({ deployments }: Seen, namespaces: readonly string[]): Draft['alone'] =>
  deployments
    .map(({ metadata: { namespace = '', name } }) => ({
      path: `${namespace}/${name}`,
      name,
      moves: namespaces.includes(namespace),
    }))
    .filter((it) => (it.moves ? ALONE.test(it.name) : it.name.startsWith('external-dns')))
    .map(({ path, moves }) => ({ path, moves }));

const regionOf = (nodes: readonly KubeObject[]): string | undefined =>
  nodes
    .map(
      (it) =>
        it.metadata.labels?.['topology.kubernetes.io/region'] ??
        it.metadata.labels?.['failure-domain.beta.kubernetes.io/region'],
    )
    .find((it) => it !== undefined);

const DEFAULT_CLASS = 'storageclass.kubernetes.io/is-default-class';

/** Classes that claims use and the target lacks, with the one that they could become where there is only one candidate. */
function mappingOf(source: Seen, target: Seen, namespaces: readonly string[]): Record<string, string | undefined> {
  const offered = target.classes.map((it) => it.metadata.name);
  const candidate =
    target.classes.find((it) => it.metadata.annotations?.[DEFAULT_CLASS] === 'true')?.metadata.name ??
    (offered.length === 1 ? offered[0] : undefined);
  const used = source.claims
    .filter((it) => namespaces.includes(it.metadata.namespace ?? ''))
    .map((it) => it['spec']?.storageClassName as string | undefined);
  const lacking = new Set(used.flatMap((it) => (it !== undefined && it !== '' && !offered.includes(it) ? [it] : [])));
  return Object.fromEntries([...lacking].sort().map((it) => [it, candidate]));
}

function servicesOf({ service }: InitFlags, source: Seen, namespaces: readonly string[]): DraftService[] {
  if (service !== undefined) {
    if (!/^[^/\s]+\/[^/\s]+$/.test(service))
      throw usage(`--service can't be "${service}".`, 'It is a namespace and a name.', 'Write --service shop/web.');
    const { namespace, name } = splitPath(service);
    const found = source.services.find((it) => it.metadata.namespace === namespace && it.metadata.name === name);
    if (!found)
      throw usage(
        `The source has no Service ${service}.`,
        'It was looked for by namespace and name.',
        'Correct --service, or leave it out: all Services of type LoadBalancer are taken.',
      );
    return ports(found);
  }
  return source.services
    .filter((it) => it['spec']?.type === 'LoadBalancer' && namespaces.includes(it.metadata.namespace ?? ''))
    .flatMap(ports);
}

/** One entry a port, with the group that the Service says it shares; none where the controller made its own. */
function ports(service: KubeObject): DraftService[] {
  const groups = new Map(
    (lbAnnotation(service, 'vgroup-port') ?? '')
      .split(',')
      .filter((it) => it.includes(':'))
      .map((it) => [Number(it.split(':')[1]), it.split(':')[0]?.trim()] as const),
  );
  const loadBalancer = lbAnnotation(service, 'id');
  return ((service['spec']?.ports ?? []) as { port: number }[]).map(({ port }) => {
    const group = groups.get(port);
    return {
      service: pathOf(service.metadata),
      router: service['spec']?.loadBalancerClass === 'alibabacloud.com/nlb' ? 'nlb' : 'clb',
      port,
      ...(group !== undefined && { group }),
      ...(loadBalancer !== undefined && { loadBalancer }),
    };
  });
}
