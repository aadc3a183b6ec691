/**
 * The words the twin's parts share. Nothing here comes from the code that the twin judges: the wire is the contract.
 */

// Objects are whatever JSON a client sends.
// oxlint-disable-next-line typescript/no-explicit-any
export type Json = any;

export interface TwinObject {
  apiVersion: string;
  kind: string;
  metadata: Json;
  [field: string]: Json;
}

export interface Timer {
  cancel(): void;
}

/** Virtual or real; the twin's parts only ever ask this clock. */
export interface TwinClock {
  /** milliseconds since 1970 */
  now(): number;
  /** runs once after `ms`; a rejected run is a bug of the twin and stops it */
  after(ms: number, run: () => void | Promise<void>): Timer;
  /**
   * Waits while a client's request is kept waiting on purpose (a slow reply): virtual time may pass meanwhile,
   * although somebody is waiting for an answer.
   */
  park(ms: number): Promise<void>;
}

/** One resource that a server serves, in one version. */
export interface ApiResource {
  /** as in ClusterApi: `v1/services`, `apps/v1/deployments` */
  path: string;
  /** '' for the core group */
  group: string;
  version: string;
  /** plural */
  resource: string;
  kind: string;
  namespaced: boolean;
  verbs: string[];
  /** in its group's preferred version, or in none of it, and then in the first that has it */
  preferred: boolean;
}

export interface ApiError extends Error {
  /** HTTP status, e.g. 404, 409 */
  status: number;
  /** Kubernetes reason, e.g. `NotFound`, `AlreadyExists`, `Conflict` */
  reason: string;
}

export interface WatchEvent {
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  object: TwinObject;
}

/**
 * What the twin's controllers use of an API server: the twin's own store in this process, or a real API server over HTTP.
 * `resource` is `v1/services`, `apps/v1/deployments`: version and plural. Errors are ApiError. What comes back may be shared and
 * frozen: whoever changes an object copies it.
 */
export interface ClusterApi {
  /** as /version says, e.g. `v1.20.15` */
  readonly version: string;
  serves(resource: string): boolean;
  /** what discovery says at this moment, without subresources */
  resources?(): Promise<ApiResource[]>;
  list(resource: string, namespace?: string): Promise<TwinObject[]>;
  /** undefined when there is none */
  get(resource: string, namespace: string | undefined, name: string): Promise<TwinObject | undefined>;
  create(resource: string, object: TwinObject): Promise<TwinObject>;
  /** compares metadata.resourceVersion when it is set: ApiError 409 Conflict */
  update(resource: string, object: TwinObject): Promise<TwinObject>;
  updateStatus(resource: string, object: TwinObject): Promise<TwinObject>;
  mergePatch(
    resource: string,
    namespace: string | undefined,
    name: string,
    patch: Json,
    subresource?: 'status',
  ): Promise<TwinObject>;
  /**
   * An absent object is no error; finalizers hold it back as on a real server. A pod that has a node stays, with deletionTimestamp,
   * until somebody (the kubelet) deletes it with `gracePeriodSeconds: 0`.
   */
  delete(
    resource: string,
    namespace: string | undefined,
    name: string,
    options?: { gracePeriodSeconds?: number },
  ): Promise<void>;
  /** first every object there is as ADDED, then each change in order; returns how to stop */
  watch(resource: string, on: (event: WatchEvent) => void): Promise<() => void>;
}

/** What a client's request meets instead of, or before, its normal answer. */
export type Fault =
  /** refused before anything happened */
  | { kind: 'refuse'; status: number; code: string; message: string; retryAfterMs?: number }
  /** the connection is cut before anything happened */
  | { kind: 'cut' }
  /** it happens, and the reply is lost */
  | { kind: 'lose' }
  /** it happens after a while */
  | { kind: 'slow'; ms: number };

/** Asked once for each request that comes over the wire; the twin's own controllers are never asked about. */
export interface Faults {
  decide(request: {
    to: 'source' | 'target' | 'fleet' | 'cloud';
    verb: string;
    what: string;
    writes: boolean;
  }): Fault | undefined;
}

/** What a twin starts from: an inventory is one (its extra fields are ignored), and so is a world file beside a playbook. */
export interface Seed {
  /** ISO 8601; where the virtual clock begins */
  start?: string;
  source: ClusterSeed;
  target: ClusterSeed;
  cloud: CloudSeed;
  clients?: ClientSeed[];
  /** a Fleet of ACK One over both clusters; none when left out */
  fleet?: FleetSeed;
}

/** A control plane without nodes. */
export interface FleetSeed {
  version: string;
  context?: string;
  objects: TwinObject[];
  /** the clusters' ids, by which its objects name them */
  members: { source: string; target: string };
}

export interface ClusterSeed {
  /** as /version says */
  version: string;
  /** uid of kube-system; made up when absent */
  uid?: string;
  context?: string;
  /** manifests; status and server-set fields are dropped, except the status of Nodes */
  objects: TwinObject[] | Record<string, TwinObject[]>;
  /** the cloud controller manager; null for none */
  ccm?: { version: string; clusterId: string; backendMode?: 'ecs' | 'eni' } | null;
  /** Velero's server; null for none. Both sides share one object store per bucket name. */
  velero?: { version: string } | null;
  /** the name of Flomesh's group, where it is installed: its kinds are served, its control plane runs */
  fsm?: 'multicluster.flomesh.io' | 'flomesh.io' | null;
  /** the snapshot controller, its kinds and the disks' sidecar */
  snapshots?: boolean | null;
  /** `eni`: pods get addresses of the VPC and an elastic network interface each (Terway); `overlay`: neither (Flannel) */
  podNetwork?: 'eni' | 'overlay';
  /** from scheduled to Ready */
  podReadyMs?: number;
}

export interface CloudSeed {
  region: string;
  loadBalancers: {
    /** `nlb-…` makes it a network load balancer */
    id: string;
    name?: string;
    /** of a network load balancer its DNS name */
    address: string;
    addressType?: string;
    /** `ipv4` where left out */
    addressIpVersion?: string;
    region?: string;
    vpc?: string;
    status?: string;
    tags?: Record<string, string>;
    listeners: {
      port: number;
      protocol?: string;
      status?: string;
      scheduler?: string;
      group?: string;
      persistenceS?: number;
      stickySession?: boolean;
    }[];
    groups: {
      id: string;
      name: string;
      backends?: { server: string; ip?: string; port: number; weight: number; type?: string; description?: string }[];
      /** of a network load balancer's group: `Instance` or `Ip` */
      type?: string;
      protocol?: string;
      scheduler?: string;
      vpc?: string;
      tags?: Record<string, string>;
    }[];
  }[];
  disks?: {
    id: string;
    region?: string;
    zone: string;
    category: string;
    performanceLevel?: string;
    sizeGiB: number;
    status?: string;
    encrypted?: boolean;
    kmsKey?: string;
    instance?: string;
    tags?: Record<string, string>;
    /** `data` where left out */
    type?: 'data' | 'system';
    /** true where left out: of one that never was, no snapshot can be taken */
    everAttached?: boolean;
    /** what was written to it before */
    content?: string[];
  }[];
  /**
   * What a zone doesn't sell: categories, levels such as `cloud_essd.PL0`, `*` for nothing at all,
   * e.g. `{ 'cn-hangzhou-b': ['cloud_essd'] }`
   */
  notSold?: Record<string, string[]>;
  /** disk categories that an instance type takes, e.g. `{ 'ecs.g6.large': ['cloud_ssd'] }`; a type that isn't named takes all */
  instanceTypes?: Record<string, string[]>;
  /** regions into which nothing is copied that is, or is to be, encrypted */
  noEncryptedCopyTo?: string[];
  /** by region, its keys; where a region isn't named every key is there and enabled */
  kmsKeys?: Record<string, { id: string; enabled?: boolean }[]>;
  /**
   * What begins and then fails: CreateSnapshot of a disk, CopySnapshot of a snapshot, CreateDisk of a snapshot (of a zone, without one), NLB's
   * actions on what they name. Of anything where `resource` is left out; once unless `times` says more.
   */
  failures?: { action: string; resource?: string; times?: number }[];
  securityGroups?: {
    id: string;
    name?: string;
    region?: string;
    vpc?: string;
    /** in every other respect as the API shows them; `direction` is ingress, `policy` Accept and `priority` 1 where left out */
    rules?: {
      direction?: 'ingress' | 'egress';
      protocol: string;
      /** `80/80`; every port where left out */
      ports?: string;
      cidr?: string;
      group?: string;
      list?: string;
      policy?: 'Accept' | 'Drop';
      priority?: number;
    }[];
  }[];
  /** public domains with their authority in this account */
  domains?: {
    name: string;
    /** as the API names editions, e.g. `mianfei`; the advanced one, with a TTL from 1 s, when left out */
    edition?: string;
    records: {
      id?: string;
      /** host part; `@` for the domain itself */
      rr: string;
      type?: string;
      value: string;
      ttlS?: number;
      line?: string;
      status?: 'ENABLE' | 'DISABLE';
      locked?: boolean;
      weight?: number;
    }[];
    /** host parts whose records are answered by weight */
    weighted?: string[];
  }[];
}

/** A crowd of clients that open a new connection for each request, by the way they come in. */
export type ClientSeed =
  | ListenerClients
  | AddressClients
  | DnsClients
  | BalancerClients
  | ServiceClients
  | MeshClients
  | IngressClients
  | GatewayClients
  | IstioClients;

/** Through a listener of a load balancer. */
export interface ListenerClients {
  via?: 'listener';
  /** a load balancer's id and listener port */
  loadBalancer: string;
  port: number;
  perSecond: number;
}

/** What a crowd says that comes in by another way; each `via` has its file in fronts/ and a line in fronts.ts. */
export interface NamedClients {
  via: string;
  /** how counts, shares and fronts are asked for: the playbook's service, `namespace/name`, where they come for one */
  name: string;
  perSecond: number;
}

/** To a name of one of the account's domains, through resolvers with caches. */
export interface DnsClients extends NamedClients {
  via: 'dns';
  /** e.g. `www.example.com` */
  host: string;
  port: number;
  /** how many resolvers the clients ask, each with a cache of its own; 50 when left out */
  resolvers?: number;
  /** of the clients, those that ask once and keep the address, and for how long: for good when left out */
  stuckPercent?: number;
  stuckForMs?: number;
}

/** Pods of a cluster that call a Service there by its name. */
export interface ServiceClients extends NamedClients {
  via: 'service';
  cluster: 'source' | 'target';
  /** `namespace/name` */
  service: string;
  port: number;
}

/** The same through Flomesh's sidecars. */
export interface MeshClients extends NamedClients {
  via: 'mesh';
  cluster: 'source' | 'target';
  service: string;
  port: number;
}

/** Through a balancer of another kind, whose weights the test or the rehearsal tells the twin. */
export interface BalancerClients extends NamedClients {
  via: 'balancer';
  /** `namespace/name`, the same on both sides */
  service: string;
  port: number;
}

/** To an address and port, whoever answers there: a load balancer, a node, a pod of the VPC. */
export interface AddressClients extends NamedClients {
  via: 'address';
  address: string;
  port: number;
}

/** What every request of a crowd is like. */
export interface HttpClients extends NamedClients {
  /** where the proxy that they reach stands */
  cluster: 'source' | 'target';
  host: string;
  /** `/` when left out */
  path?: string;
  headers?: Record<string, string>;
}

/** Through an ingress-nginx. */
export interface IngressClients extends HttpClients {
  via: 'ingress';
  /** of Ingresses that it takes besides those without any; `nginx` when left out */
  class?: string;
}

/** Through a gateway of the Gateway API. */
export interface GatewayClients extends HttpClients {
  via: 'gateway';
  /** `namespace/name` */
  gateway: string;
}

/** Callers with a sidecar in a mesh. */
export interface IstioClients extends HttpClients {
  via: 'istio';
  /** 80 when left out */
  port?: number;
  /** what one mesh over both calls them; the mesh is that of the callers' cluster alone when left out */
  clusters?: { source: string; target: string };
}

export interface ClientCount {
  sent: number;
  failed: number;
  source: number;
  target: number;
  /** backends outside both clusters */
  other: number;
  /** the longest stretch of virtual time during which every request failed */
  longestPauseMs: number;
}

/**
 * What stands for the bytes of a disk. A snapshot has its disk's at the moment when it was asked for; a copy has its snapshot's, and so has a
 * disk made from either.
 */
export interface DiskContent {
  /** all writes so far, those without data among them (`rates.diskWritesPerSecond`) */
  writes: number;
  /** what `writeTo` wrote, in order */
  data: readonly string[];
}

/** The twin's cloud, as the controllers and the virtual clients in the same process see it. */
export interface TwinCloud {
  readonly region: string;
  /**
   * One OpenAPI action, as the wire would do it (same parameters, same answers, same errors), without faults and signatures.
   * Throws CloudError.
   */
  call(
    product: 'Slb' | 'Nlb' | 'Ecs' | 'Vpc' | 'Alidns',
    action: string,
    parameters: Record<string, string>,
  ): Promise<Json>;
  /** Registers the address of a pod as an elastic network interface of that instance; returns its id. */
  plugInterface(ip: string, instance: string, zone: string): string;
  unplugInterface(ip: string): void;
  /** Attach and detach a disk as the CSI driver would; throws CloudError. */
  attachDisk(disk: string, instance: string): void;
  detachDisk(disk: string): void;
  /** Writes to a disk that is attached; throws CloudError IncorrectDiskStatus for any other, so that nobody writes after he let go. */
  writeTo(disk: string, data: string): void;
  /** What a disk, or a snapshot, holds at this moment; undefined when there is none. */
  contentOf(id: string): DiskContent | undefined;
  /** Makes the ECS instance known: nodes are seeded with one each. */
  addInstance(instance: { id: string; zone: string; ip: string; vpc?: string; type?: string }): void;
  /** Live members of the group behind a running listener, for the virtual clients; undefined when there is no such running listener. */
  listenerBackends(
    loadBalancer: string,
    port: number,
  ): { server: string; ip: string; port: number; weight: number; type: string; description: string }[] | undefined;
  /** How that listener chooses among them: `wrr`, `rr`, ...; undefined when there is no such listener. */
  listenerScheduler?(loadBalancer: string, port: number): string | undefined;
  /** The load balancer that has this address; undefined when none has. */
  loadBalancerAt?(address: string): string | undefined;
  /** Whether an elastic network interface has this address, so that the whole VPC reaches it. */
  hasInterface?(ip: string): boolean;
  /** What the authority answers to a question for addresses at this moment; undefined when it has none for the name. */
  dnsAnswer?(name: string, type?: 'A' | 'AAAA'): { ttlS: number; values: string[] } | undefined;
  /** Whole state as plain JSON with stable order, for comparing worlds. */
  snapshot(): Json;
}

export interface CloudError extends Error {
  status: number;
  code: string;
}
