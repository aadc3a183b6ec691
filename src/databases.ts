import { z } from 'zod';
import { command, duration, httpUrl, name, serviceName } from './formats.js';
import type { Step } from './step.js';
import { windowEntry } from './window.js';

/** The entries of `data.databases`, and the steps that each becomes. What a state of the switch-over means: src/standing.ts. */

const ENV = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Where a password is found; never the password itself. */
const passwordFrom = z.union(
  [
    // Not by a format, whose complaint repeats the value: it could be the password itself.
    z.strictObject({
      env: z
        .string()
        .refine((it) => ENV.test(it), 'is not the name of an environment variable')
        .meta({ pattern: ENV.source }),
    }),
    z.strictObject({
      secret: z.strictObject({
        cluster: z.enum(['source', 'target']),
        namespace: name,
        name: z.string().min(1),
        key: z.string().min(1),
      }),
    }),
  ],
  {
    error:
      'say where it is found: `{ env: NAME }` or `{ secret: { cluster, namespace, name, key } }`, never the password',
  },
);

const HOST = /^(?:\[[0-9a-f:.]+\]|[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?)$/i;
const host = z.string().regex(HOST, 'is not a host name or an address');
const port = z.int().min(1).max(65535);
const account = z.strictObject({ user: z.string().min(1), password: passwordFrom.optional() });

const server = (defaultPort: number) =>
  z.strictObject({
    host,
    port: port.default(defaultPort),
    user: z.string().min(1).optional(),
    password: passwordFrom.optional(),
    /** `unverified`: encrypted, but whoever answers is believed */
    tls: z.enum(['no', 'unverified', 'yes']).default('no'),
    /** how the other server reaches this one, where that differs from how we do */
    seenAs: z.strictObject({ host, port }).optional(),
  });

/** How clients are led to the side that serves: a Service of either cluster, or a command. */
const repoint = z.union(
  [
    z.strictObject({
      cluster: z.enum(['source', 'target']),
      service: serviceName,
      /** where the Service leads afterwards: an address for one with ports of its own, a host name for an ExternalName */
      to: host,
      /** of the endpoint; the Service's target port by default */
      port: port.optional(),
    }),
    z.strictObject({ run: command, back: command }),
  ],
  { error: 'is `{ cluster, service, to }` or `{ run, back }`' },
);

const common = {
  /** as people call it: NAMESPACE/NAME */
  name: serviceName,
  /** the longest that the replica may be behind before the switch-over begins */
  maxLag: duration.default(1000),
  /** how long the replica is waited for while the old side still serves */
  catchUp: duration.default(3_600_000),
  /** the longest that writes may be refused; after that the old side takes them again and the step stops */
  within: duration.default(10_000),
  /** the switch-over begins only between these times of a day */
  window: windowEntry.optional(),
  repoint: z.array(repoint).default([]),
};

const replica = z.enum(['present', 'build']).default('present');

const sql = {
  ...common,
  /** `build`: copied from the source by the step; `present`: the operator, a tool or an operator of the cluster has copied it */
  replica,
  /** the account by which one server copies from the other; that of `source` and `target` by default */
  replication: account.optional(),
};

const mysqlLike = {
  ...sql,
  source: server(3306),
  target: server(3306),
  /** databases that `build` copies; all but the server's own by default */
  databases: z.array(z.string().min(1)).optional(),
  /** accounts that may write in spite of read_only, and are known not to */
  admins: z.array(z.string().min(1)).default([]),
};

const member = z.strictObject({ name: z.string().min(1), peer: httpUrl, client: httpUrl });
const etcdSide = z.strictObject({
  members: z.array(member).min(1, 'needs at least one member'),
  user: z.string().min(1).optional(),
  password: passwordFrom.optional(),
  /** a program that starts a member, empty, when it is to join; without it we wait until somebody has started it */
  start: command.optional(),
});

export const databaseEntry = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('mysql'), ...mysqlLike }),
  z.strictObject({ kind: z.literal('mariadb'), ...mysqlLike }),
  z.strictObject({
    kind: z.literal('postgres'),
    ...sql,
    /** logical replication is per database */
    database: z.string().min(1),
    source: server(5432),
    target: server(5432),
  }),
  z.strictObject({ kind: z.literal('redis'), ...sql, source: server(6379), target: server(6379) }),
  z.strictObject({ kind: z.literal('etcd'), ...common, source: etcdSide, target: etcdSide }),
  z.strictObject({
    kind: z.literal('exec'),
    ...common,
    replica,
    /** called with an act and a side: see docs/databases.md */
    hook: command,
  }),
]);

export type Database = z.output<typeof databaseEntry>;
export type DatabaseOf<Kind extends Database['kind']> = Extract<Database, { kind: Kind }>;
export type PairedDatabase = Exclude<Database, { kind: 'etcd' }>;
export type ServerEntry = DatabaseOf<'mysql'>['source'];
export type PasswordFrom = z.output<typeof passwordFrom>;
export type Repoint = Database['repoint'][number];

export interface DatabaseArgs<Kind extends Database = PairedDatabase> {
  database: Kind;
}

/** Two entries of one name would be one id for two steps. */
export const twiceNamed = (databases: readonly Database[]): number[] =>
  databases.flatMap((it, index) => (databases.findIndex((other) => other.name === it.name) < index ? [index] : []));

/**
 * replica → switch → repoint, for each database. The copying waits for nothing, for it takes longest; the switch-over waits for what is
 * brought before, so that the target's workloads find the database where they will use it.
 *
 * @param before  ids of the steps that bring the applications
 * @returns the steps, the ids that workloads of the target wait for, and what the operator should know
 */
export function databaseSteps(
  databases: readonly Database[],
  before: readonly string[],
): { steps: Step[]; last: string[]; notes: string[] } {
  const steps: Step[] = [];
  const last: string[] = [];
  for (const database of databases) {
    const id = (what: string) => `data/database/${database.name}/${what}`;
    const add = (what: string, kind: string, after: readonly string[]) => {
      steps.push({ id: id(what), kind, phase: 'data', args: { database }, after: [...after] });
      return id(what);
    };
    const isEtcd = database.kind === 'etcd';
    const copied = add('replica', isEtcd ? 'etcd-join' : 'database-replica', []);
    const repoint = (after: string) =>
      database.repoint.length > 0 ? add('repoint', 'database-repoint', [after]) : after;
    // Clients of etcd must know the new members before the last of the old ones has left; all serve until then.
    if (isEtcd) last.push(add('switch', 'etcd-move', [repoint(copied), ...before]));
    else last.push(repoint(add('switch', 'database-switch', [copied, ...before])));
  }
  const notes = databases.map(
    (it) =>
      `Database ${it.name}: from its switch-over on the target takes the writes. Going back is a switch-over too and loses nothing, as long as both servers run and until \`migrate complete\` lets go of the source: that is its point of no return.`,
  );
  return { steps, last, notes };
}

/** What `complete` does with databases: the old servers are let go of. etcd has none left by then. */
export const completeDatabases = (databases: readonly Database[], after: readonly string[]): Step[] =>
  databases
    .filter((it) => it.kind !== 'etcd')
    .map((database) => ({
      id: `complete/database/${database.name}`,
      kind: 'database-retire',
      phase: 'complete',
      args: { database },
      after: [...after],
    }));
