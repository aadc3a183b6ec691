import { isIP } from 'node:net';
import { MigrateError } from '../../errors.js';
import type { Database, DatabaseArgs, Repoint } from '../../databases.js';
import { rightOn, splitPath } from '../../objects.js';
import type { Cluster, KubeObject, Right, Side } from '../../ports.js';
import type { StepContext, StepKind } from '../../step.js';
import { owing } from '../owing.js';

/**
 * Leads clients to the side that takes the writes. A Service with addresses of its own keeps its name and its cluster address: its selector
 * goes, and Endpoints with the new address come in the place of those that the controller wrote. An ExternalName gets the new name. Anything
 * else (a proxy, a DNS record, a Secret that workloads read) is a program of the operator's.
 *
 * @source https://kubernetes.io/docs/concepts/services-networking/service/#services-without-selectors
 */
export interface RepointBefore {
  /** one for each entry of `repoint` */
  services: (ServiceBefore | null)[];
}

interface ServiceBefore {
  externalName?: string;
  selector?: Record<string, string>;
  /** of a Service that had no selector before either */
  subsets?: unknown[];
}

type ServiceRepoint = Extract<Repoint, { service: string }>;

export const databaseRepoint: StepKind<DatabaseArgs<Database>, RepointBefore> = {
  kind: 'database-repoint',
  title: ({ database }) => `${database.name}: clients are led to the target`,
  wayBack: () => 'clients are led to the source again',
  rights: ({ database }) => {
    const rights: Partial<Record<Side, Right[]>> = {};
    for (const it of database.repoint) {
      if (!('service' in it)) continue;
      const { namespace } = splitPath(it.service);
      (rights[it.cluster] ??= []).push(
        ...['get', 'patch'].map((verb) => ({ ...rightOn(verb, 'Service'), namespace })),
        ...['get', 'create', 'patch', 'delete'].map((verb) => ({ verb, group: '', resource: 'endpoints', namespace })),
        ...['list', 'delete'].map((verb) => ({ ...rightOn(verb, 'EndpointSlice.discovery.k8s.io'), namespace })),
      );
    }
    return rights;
  },

  async check({ database }, { world }) {
    const services = await Promise.all(
      database.repoint.map(async (it) => ('service' in it ? serviceBefore(world[it.cluster], it) : null)),
    );
    return { services };
  },

  async apply({ database }, _before, context) {
    for (const it of database.repoint) {
      if ('service' in it) await lead(context.world[it.cluster], it);
      else await call(it.run, database, 'target', context);
    }
  },

  async verify({ database }, _before, { world }) {
    for (const it of database.repoint) {
      if (!('service' in it)) continue;
      const leads = await leadsTo(world[it.cluster], it);
      if (leads === it.to) continue;
      throw new MigrateError('DB_NOT_REPOINTED', {
        what: `Service ${it.service} of the ${it.cluster} leads to ${leads ?? 'its selector'}, not to ${it.to}.`,
        why: 'Something (GitOps, an operator) put it back.',
        fix: 'Change it at its source or pause that, then run again.',
      });
    }
  },

  async undo({ database }, { services }, context) {
    const owed = [];
    for (const [index, it] of database.repoint.entries()) {
      if (!('service' in it)) {
        await call(it.back, database, 'source', context);
        continue;
      }
      const before = services[index];
      if (!before) continue;
      const back = () => putBack(context.world[it.cluster], it, before);
      if (it.cluster === 'target')
        owed.push(...(await owing(`Service ${it.service} still leads to ${it.to} there.`, back)));
      else await back();
    }
    return owed;
  },
};

const DEADLINE_MS = 120_000;

async function call(
  command: readonly string[],
  { name, kind }: Database,
  serves: Side,
  { world }: StepContext,
): Promise<void> {
  await world.programs.run(command, { verb: 'repoint', database: name, kind, serves }, DEADLINE_MS);
}

const refOf = (it: ServiceRepoint) => ({ kind: 'Service', ...splitPath(it.service) });
const endpointsOf = (it: ServiceRepoint) => ({ kind: 'Endpoints', ...splitPath(it.service) });

async function mustGet(cluster: Cluster, it: ServiceRepoint): Promise<KubeObject> {
  const found = await cluster.get(refOf(it));
  if (found) return found;
  throw unfit(`The ${it.cluster} has no Service ${it.service}.`, 'The playbook wants clients led by it.');
}

const unfit = (what: string, why: string) =>
  new MigrateError('DB_NOT_REPOINTED', { what, why, fix: 'Mend `repoint:` in the playbook, then run again.' });

async function serviceBefore(cluster: Cluster, it: ServiceRepoint): Promise<ServiceBefore> {
  const { spec } = (await mustGet(cluster, it)) as KubeObject & {
    spec: { type?: string; externalName?: string; selector?: Record<string, string> };
  };
  if (spec.type === 'ExternalName') return { externalName: spec.externalName ?? '' };
  if (isIP(it.to) === 0) {
    throw unfit(
      `Service ${it.service} has addresses of its own and can't lead to the name ${it.to}.`,
      'Endpoints hold addresses; only a Service of type ExternalName leads to a name.',
    );
  }
  if (spec.selector && Object.keys(spec.selector).length > 0) return { selector: spec.selector };
  const endpoints = await cluster.get(endpointsOf(it));
  return { subsets: (endpoints?.['subsets'] ?? []) as unknown[] };
}

/** where it leads now; undefined where a selector says so */
async function leadsTo(cluster: Cluster, it: ServiceRepoint): Promise<string | undefined> {
  const { spec } = (await mustGet(cluster, it)) as KubeObject & {
    spec: { type?: string; externalName?: string; selector?: object };
  };
  if (spec.type === 'ExternalName') return spec.externalName;
  if (spec.selector && Object.keys(spec.selector).length > 0) return undefined;
  const endpoints = await cluster.get(endpointsOf(it));
  const subsets = (endpoints?.['subsets'] ?? []) as { addresses?: { ip: string }[] }[];
  return subsets
    .flatMap((one) => one.addresses ?? [])
    .map((one) => one.ip)
    .join(',');
}

async function lead(cluster: Cluster, it: ServiceRepoint): Promise<void> {
  const service = await mustGet(cluster, it);
  const spec = service['spec'] as {
    type?: string;
    ports?: { name?: string; port: number; targetPort?: unknown; protocol?: string }[];
  };
  if (spec.type === 'ExternalName') {
    await cluster.patch(refOf(it), { spec: { externalName: it.to } });
    return;
  }
  const ports = (spec.ports ?? []).map(({ name, port, targetPort, protocol }) => ({
    ...(name !== undefined && { name }),
    port: it.port ?? (typeof targetPort === 'number' ? targetPort : port),
    protocol: protocol ?? 'TCP',
  }));
  await cluster.patch(refOf(it), { spec: { selector: null } });
  await setEndpoints(cluster, it, [{ addresses: [{ ip: it.to }], ports }]);
  await dropStaleSlices(cluster, it);
}

async function setEndpoints(cluster: Cluster, it: ServiceRepoint, subsets: unknown[]): Promise<void> {
  const ref = endpointsOf(it);
  if (await cluster.get(ref)) await cluster.patch(ref, { subsets });
  else await cluster.create({ apiVersion: 'v1', kind: 'Endpoints', metadata: splitPath(it.service), subsets });
}

/** The controller leaves the slices that it wrote by the selector; beside those mirrored from Endpoints, they would still be served. */
async function dropStaleSlices(cluster: Cluster, it: ServiceRepoint): Promise<void> {
  const { namespace, name } = splitPath(it.service);
  const kind = 'EndpointSlice.discovery.k8s.io';
  const slices = await cluster.list(kind, { namespace, labels: `kubernetes.io/service-name=${name}` });
  for (const slice of slices) {
    if (slice.metadata.labels?.['endpointslice.kubernetes.io/managed-by'] !== 'endpointslice-controller.k8s.io')
      continue;
    await cluster.delete({ kind, namespace, name: slice.metadata.name });
  }
}

async function putBack(cluster: Cluster, it: ServiceRepoint, before: ServiceBefore): Promise<void> {
  if (!(await cluster.get(refOf(it)))) return;
  if (before.externalName !== undefined) {
    await cluster.patch(refOf(it), { spec: { externalName: before.externalName } });
    return;
  }
  // The controller writes the endpoints again by the selector; until then nobody is led to the side that is closed.
  if (before.selector) await cluster.patch(refOf(it), { spec: { selector: before.selector } });
  else await setEndpoints(cluster, it, before.subsets ?? []);
}
