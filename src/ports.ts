import type { Databases } from './standing.js';

/**
 * What the engine needs of the outside: two clusters, one cloud, a clock, a prober. `kube/` and `alibaba/`
 * implement the first two over the real wire; nothing here says which world is behind it.
 */

export type Side = 'source' | 'target';
export const SIDES = ['source', 'target'] as const satisfies readonly Side[];
export const otherSide = (side: Side): Side => (side === 'source' ? 'target' : 'source');

/** Where a cluster's API server stands: a side, or the Fleet over both. */
export type Place = Side | 'fleet';

/** `Service`, `Deployment.apps`, `Backup.velero.io`: kind and group, never a version; discovery picks that. */
export type Kind = string;

export interface ObjectRef {
  kind: Kind;
  namespace?: string;
  name: string;
}

export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: { apiVersion: string; kind: string; name: string; uid: string; controller?: boolean }[];
  managedFields?: { manager?: string; operation?: string; apiVersion?: string; time?: string; fieldsV1?: unknown }[];
  generateName?: string;
}

export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  // The rest differs per kind; readers narrow what they use.
  // oxlint-disable-next-line typescript/no-explicit-any
  [field: string]: any;
}

export interface ServedKind {
  group: string;
  version: string;
  kind: string;
  /** plural, as in the URL */
  resource: string;
  namespaced: boolean;
  verbs: string[];
  /** the version that this server prefers for this kind's group */
  preferred: boolean;
}

export interface ClusterIdentity {
  /** uid of the namespace kube-system: survives renamed contexts and moved addresses */
  uid: string;
  /** as /version says, e.g. `v1.20.15` or `v1.30.1-aliyun.1` */
  version: string;
  server: string;
}

export interface Right {
  verb: string;
  group: string;
  resource: string;
  subresource?: string;
  namespace?: string;
}

export interface RightAnswer extends Right {
  allowed: boolean;
}

/**
 * One cluster. Methods throw MigrateError: KUBE_UNREACHABLE, KUBE_UNAUTHORIZED, KUBE_FORBIDDEN, KUBE_EXISTS, KUBE_CONFLICT, KUBE_INVALID,
 * KUBE_NOT_SERVED, KUBE_FAILED. Reads retry what is worth it; a write is repeated only where repeating is safe.
 */
export interface Cluster {
  readonly side: Place;
  identify(): Promise<ClusterIdentity>;
  /** `failed`: group versions whose list could not be read, e.g. behind a dead APIService: unknown, not absent. */
  served(): Promise<{ kinds: ServedKind[]; failed: { groupVersion: string; why: string }[] }>;
  /** All objects of a kind, or just their metadata, pages joined. KUBE_NOT_SERVED when no served version has the kind. */
  list(
    kind: Kind,
    options?: { namespace?: string; labels?: string; only?: 'metadata'; version?: string },
  ): Promise<KubeObject[]>;
  /**
   * The same one by one, so that not all need be held. `bytes` is the length of each as it came. An object can come twice, where the
   * server forgot a list that took too long, and it began anew.
   */
  each(
    kind: Kind,
    options: { namespace?: string; labels?: string; only?: 'metadata'; version?: string },
    take: (object: KubeObject, bytes: number) => void,
  ): Promise<void>;
  /** The object, or undefined when it isn't there; in the version that the server prefers, or the one asked for. */
  get(ref: ObjectRef & { version?: string }): Promise<KubeObject | undefined>;
  /** Creates, in the object's own apiVersion. An object of that name that exists is KUBE_EXISTS. */
  create(object: KubeObject): Promise<KubeObject>;
  /** JSON merge patch (RFC 7386); with `uid` or `resourceVersion` in the patch's metadata the server compares. */
  patch(ref: ObjectRef & { subresource?: 'status' }, patch: object): Promise<KubeObject>;
  /** Server-side apply under the field manager `migrate`. */
  apply(object: KubeObject): Promise<KubeObject>;
  /** Asks for deletion; an absent object is no error. `uid` guards against a namesake. */
  delete(
    ref: ObjectRef,
    options?: { uid?: string; propagation?: 'Foreground' | 'Background' | 'Orphan' },
  ): Promise<void>;
  can(rights: Right[]): Promise<RightAnswer[]>;
  /**
   * What the server says to a create of it, of which nothing is kept. `fields: 'strict'` refuses fields that the server does not know,
   * `'warn'` drops them and says so, as an ordinary create does. Every answer of the server is an answer, not an error.
   */
  dryRun(object: KubeObject, fields: 'strict' | 'warn'): Promise<DryRunReply>;
  /** Lines of a plain text path, e.g. `/metrics`, as far as they are wanted; the rest is dropped as it comes. */
  lines(path: string, wanted: (line: string) => boolean): Promise<string[]>;
}

export interface DryRunReply {
  /** HTTP */
  status: number;
  /** of the Status object, e.g. `Invalid`; empty when it would be made */
  reason: string;
  message: string;
  /** from Warning headers */
  warnings: string[];
}

export interface Backend {
  /** `i-…` or `eni-…` */
  server: string;
  /** only members of type eni have one */
  ip?: string;
  port: number;
  /** 0 to 100 */
  weight: number;
  type: string;
  /** the cloud controller manager signs its members here: see `ownerOf` */
  description: string;
  /** what a load balancer is still doing with it, e.g. `Adding`, `Configuring`, `Removing`: its weight is not in force yet */
  pending?: string;
}

export interface ServerGroup {
  id: string;
  name: string;
  backends: Backend[];
  /** of a network load balancer alone, as all that follows: `Instance`, or `Ip` for addresses, also of other networks */
  type?: string;
  protocol?: string;
  /** lower case; it is the group's there, not the listener's */
  scheduler?: string;
  vpc?: string;
  /** how long open connections of a member that goes are let live; absent when it is off */
  drainS?: number;
  /** what the load balancer is still doing with it: what it shows is not the last of it */
  pending?: string;
  tags?: Record<string, string>;
}

export interface Listener {
  port: number;
  protocol: string;
  status: string;
  scheduler: string;
  /** id of the server group behind it, or none */
  group?: string;
  /** seconds; 0 is off. Returning clients defeat weights for that long. */
  persistenceS?: number;
  stickySession?: boolean;
  /** seconds for which connections to a member that leaves go on; 0 is off: they are cut */
  drainS?: number;
  /** `tcp every 2 s, out after 3`; empty is off: a dead member goes on being asked */
  healthCheck?: string;
}

export interface LoadBalancer {
  id: string;
  name: string;
  address: string;
  addressType: string;
  region: string;
  vpc: string;
  status: string;
  tags: Record<string, string>;
  listeners: Listener[];
  groups: ServerGroup[];
}

export interface Disk {
  id: string;
  region: string;
  /** empty for a regional disk */
  zone: string;
  category: string;
  performanceLevel?: string;
  sizeGiB: number;
  status: string;
  encrypted: boolean;
  kmsKey?: string;
  instance?: string;
  sourceSnapshot?: string;
  tags: Record<string, string>;
}

/** One category of data disks that a zone sells. */
export interface SoldDisks {
  category: string;
  minGiB: number;
  maxGiB: number;
}

export interface SecurityRule {
  direction: 'ingress' | 'egress';
  /** lower case: `all`, `tcp`, `udp`, `icmp`, … */
  protocol: string;
  /** `80/80`; `-1/-1` is every port; empty where a list stands in their place */
  ports: string;
  /** IPv4, of the other end */
  cidr?: string;
  /** another security group as the other end */
  group?: string;
  /** a list of networks or ports, kept elsewhere in the cloud, that stands in place of the rule's own */
  list?: string;
  policy: 'Accept' | 'Drop';
  /** 1 is looked at first */
  priority: number;
}

export interface SecurityGroup {
  id: string;
  rules: SecurityRule[];
}

export interface Snapshot {
  id: string;
  region: string;
  status: string;
  /** percent */
  progress: number;
  /** seconds, by the cloud's estimate; 0 when it is done or has none */
  remainS: number;
  sourceDisk: string;
  sourceSnapshot?: string;
  sizeGiB: number;
  encrypted: boolean;
  tags: Record<string, string>;
}

/** Records of one name, type and line: what the authority chooses among when it answers. */
export interface DnsSet {
  domain: string;
  /** host part; `@` for the domain itself */
  name: string;
  type: string;
  line: string;
}

export interface DnsRecord {
  id: string;
  value: string;
  /** seconds */
  ttlS: number;
  /** paused records are not answered */
  enabled: boolean;
  locked: boolean;
  /** counts where the set is weighted */
  weight: number;
}

export interface DnsRecords extends DnsSet {
  records: DnsRecord[];
  /** without, all enabled records are given at once, or any one of several CNAMEs */
  weighted: boolean;
}

/** The authority of public names. Each method can be called again. */
export interface Dns {
  records(set: DnsSet): Promise<DnsRecords>;
  /** A new record is answered at once, with weight 1 where its set is weighted. */
  add(set: DnsSet, value: string, ttlS: number): Promise<string>;
  /** Name, value and TTL; weight and whether it is answered stay. */
  change(set: DnsSet, id: string, value: string, ttlS: number): Promise<void>;
  remove(id: string): Promise<void>;
  enable(id: string, on: boolean): Promise<void>;
  /** Of an enabled record of a weighted set: 1 to 100. */
  setWeight(id: string, weight: number): Promise<void>;
  weigh(set: DnsSet, on: boolean): Promise<void>;
}

/** What is changed at a classic load balancer itself, not at the members of its groups. Each method can be called again. */
export interface Clb {
  listeners(loadBalancer: string): Promise<Listener[]>;
  /** Points a listener at a group and sets how it chooses, in one call; open connections stay. */
  setListener(
    loadBalancer: string,
    listener: Pick<Listener, 'port' | 'protocol'>,
    to: { group: string; scheduler: string },
  ): Promise<void>;
  /** With these members; one of that name that is there already is filled up. @returns its id */
  createGroup(loadBalancer: string, name: string, members: readonly Backend[]): Promise<string>;
  renameGroup(group: string, name: string): Promise<void>;
  /** An absent group is no error; one that a listener uses is CLOUD_REFUSED. */
  deleteGroup(group: string): Promise<void>;
  tag(loadBalancer: string, tags: Readonly<Record<string, string>>): Promise<void>;
  untag(loadBalancer: string, keys: readonly string[]): Promise<void>;
}

/**
 * One cloud account. Methods throw MigrateError: CLOUD_UNREACHABLE, CLOUD_THROTTLED, CLOUD_BUSY, CLOUD_FORBIDDEN, CLOUD_REFUSED,
 * CLOUD_CREDENTIALS. Busy and throttled calls have been repeated with a growing pause before that.
 */
export interface Cloud {
  /** With listeners, groups and their members; undefined when there is no such load balancer. */
  loadBalancer(id: string): Promise<LoadBalancer | undefined>;
  backends(group: string): Promise<Backend[]>;
  /** Sets weights of members that are there already; sends at most 20 a call. */
  setWeights(group: string, members: Backend[]): Promise<void>;
  removeBackends(group: string, members: Backend[]): Promise<void>;
  readonly clb: Clb;
  disk(region: string, id: string): Promise<Disk | undefined>;
  disks(region: string, tag: { key: string; value: string }): Promise<Disk[]>;
  /** Categories of new data disks that are to be had in the zone now. A regional one is named in each of its zones. */
  sold(region: string, zone: string): Promise<SoldDisks[]>;
  /** With its rules; undefined when there is no such group. */
  securityGroup(region: string, id: string): Promise<SecurityGroup | undefined>;
  snapshots(region: string, tag: { key: string; value: string }): Promise<Snapshot[]>;
  /** This, a copy and a new disk are CLOUD_OCCUPIED where something else must end first, and are to be asked for again then. */
  createSnapshot(args: {
    region: string;
    disk: string;
    name: string;
    token: string;
    /** days after which the cloud deletes it */
    keepDays?: number;
    tags: Record<string, string>;
  }): Promise<string>;
  copySnapshot(args: {
    region: string;
    snapshot: string;
    toRegion: string;
    name: string;
    token: string;
    /** of the copy; one of an encrypted snapshot is so in any case */
    encrypted?: boolean;
    kmsKey?: string;
    keepDays?: number;
    tags: Record<string, string>;
  }): Promise<string>;
  createDisk(args: {
    region: string;
    zone: string;
    snapshot: string;
    category: string;
    performanceLevel?: string;
    sizeGiB: number;
    encrypted: boolean;
    kmsKey?: string;
    name: string;
    token: string;
    tags: Record<string, string>;
  }): Promise<string>;
  readonly dns: Dns;
  deleteSnapshot(region: string, id: string): Promise<void>;
  deleteDisk(region: string, id: string): Promise<void>;
}

/** Where a bucket is, as a BackupStorageLocation says. */
export interface BucketAt {
  /** `aws`, `alibabacloud`, ... */
  provider: string;
  bucket: string;
  region: string;
  /** URL of the store, where the location names one */
  endpoint?: string;
  /** the bucket stands in the path, not in the name of the host */
  inPath: boolean;
  /** asked once and shortly: what it says would be good to know, and the move goes on without */
  brief?: boolean;
}

/**
 * One bucket of an object store. Methods throw MigrateError: STORE_UNREACHABLE, STORE_REFUSED, STORE_CREDENTIALS. What can be repeated has
 * been, with a growing pause.
 */
export interface Bucket {
  put(key: string, body: Buffer): Promise<void>;
  /** undefined when there is none of that name */
  get(key: string): Promise<Buffer | undefined>;
  /** names that begin so */
  list(prefix: string): Promise<string[]>;
  /** an absent one is no error */
  delete(key: string): Promise<void>;
}

export interface Clock {
  /** milliseconds since 1970 */
  now(): number;
  sleep(ms: number): Promise<void>;
}

export interface ProbeReply {
  ok: boolean;
  status?: number;
  error?: string;
  ms: number;
}

/** Own requests through the front address. Never throws: a failed probe is an answer. */
export interface Prober {
  probe(url: string): Promise<ProbeReply>;
}

/** One request on its way to a cluster or the cloud. */
export interface Call {
  to: Place | 'cloud';
  /** HTTP method or OpenAPI action */
  verb: string;
  what: string;
  writes: boolean;
}

/**
 * Every request passes here: counted for the screen, held for virtual time, cut by the crash tests. The default sends it.
 */
export type Tap = <T>(call: Call, send: () => Promise<T>) => Promise<T>;

/** A request to a program of the operator's own: Prometheus, a webhook. */
export interface WebRequest {
  method: 'GET' | 'POST';
  url: string;
  /** sent as application/x-www-form-urlencoded */
  form?: Record<string, string>;
  /** sent as application/json */
  json?: unknown;
  /** name of the environment variable that holds a bearer token */
  tokenFrom?: string;
  timeoutMs: number;
  /** what the answer is for: where there is nobody to ask, as in a rehearsal, one is made up by it */
  about: WebPurpose;
}

export type WebPurpose =
  | { kind: 'webhook' }
  | {
      kind: 'figures';
      of: 'value' | 'errors' | 'requests';
      side: Side;
      /** seconds since 1970, and between two points */
      start: number;
      end: number;
      step: number;
      /** bounds of a value */
      min?: number;
      max?: number;
    };

export interface WebReply {
  /** HTTP; 0 with `error` when there was no answer */
  status: number;
  /** at most a mebibyte */
  text: string;
  error?: string;
}

/** Never throws: no answer is an answer. Redirects are not followed: a login page is no figure. */
export interface Web {
  ask(request: WebRequest): Promise<WebReply>;
}

/** Programs of the operator's own that drive what we have no words for. */
export interface Programs {
  /**
   * @param command  the program and its arguments; no shell reads them
   * @param question  JSON, for its standard input
   * @returns what it wrote to standard output
   * @throws MigrateError PROGRAM_FAILED
   */
  run(command: readonly string[], question: unknown, deadlineMs: number): Promise<string>;
}

/** One file of rendered manifests. */
export interface ManifestFile {
  file: string;
  text: string;
}

/** All that a step may touch. */
export interface World {
  source: Cluster;
  target: Cluster;
  /** where the playbook names one */
  fleet?: Cluster;
  cloud: Cloud;
  databases: Databases;
  /** opens nothing yet: keys and address are looked at with the first request */
  bucket(at: BucketAt): Bucket;
  /** the files of a folder, or the one; sorted by name. @throws MigrateError MANIFESTS_UNREADABLE */
  manifests(from: string): ManifestFile[];
  clock: Clock;
  prober: Prober;
  web: Web;
  programs: Programs;
  /** Asks one DNS server, `address` or `address:port`, for a name's values; undefined in a world whose servers can't be asked. */
  lookUp?: (server: string, name: string, type: string) => Promise<string[]>;
}
