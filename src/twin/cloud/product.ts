import type { Json, TwinClock } from '../types.js';
import type { Ids } from './ids.js';
import type { Parameters, Refusals } from './parameters.js';
import type { CloudState } from './state.js';

export interface Limits {
  /** members in one BackendServers parameter; the controller sends up to 40, the API's text says 20 */
  backendsPerCall: number;
  backendsPerLoadBalancer: number;
  /** how often one server may be a member, over all groups */
  membershipsPerServer: number;
  listenersPerLoadBalancer: number;
  rulesPerListener: number;
  tagsPerResource: number;
  /** manual snapshots of one disk; also copies of one disk's snapshots in one region */
  snapshotsPerDisk: number;
  /** of one disk, being created at once */
  snapshotsUnderWayPerDisk: number;
  /** of the account in one region, being created at once; copies count on their own, where they go */
  snapshotsUnderWay: number;
  copiesUnderWay: number;
  /** pay-as-you-go disks of the account in one region */
  disksPerRegion: number;
  /** of the account, over the disks of one category in one zone */
  diskGiBPerCategoryAndZone: number;
  disksPerInstance: number;
  /** disks on their way to one instance at once, and away from it */
  attachingPerInstance: number;
  detachingPerInstance: number;
  nlbsPerRegion: number;
  nlbGroupsPerRegion: number;
  /** servers in one call; the text of the API says 200, older text and the controller 40 */
  nlbServersPerCall: number;
  nlbServersPerGroup: number;
  nlbServersPerLoadBalancer: number;
  nlbGroupsPerServer: number;
  /** calls in 60 s of the clock by action name, over the wire; beyond it Throttling.User. Of Ecs: in a minute of the clock, per region */
  callsPerMinute: Record<string, number>;
}

/** How long the slow things take, on the clock. */
export interface Rates {
  /** for how long a change to a server group or a listener is being applied, and further writes over the wire are busy */
  applyMs: number;
  snapshotFixedMs: number;
  snapshotGiBPerSecond: number;
  /** part of the disk that is read for a snapshot when an earlier one of it is there */
  snapshotIncrement: number;
  /** until a snapshot of an ESSD says Available, which is before it is accomplished */
  snapshotInstantMs: number;
  copyFixedMs: number;
  copyMiBPerSecond: number;
  /** part of the data that a second copy of the same disk to the same region moves */
  copyIncrement: number;
  diskFixedMs: number;
  diskGiBPerSecond: number;
  /** attaching and detaching through the API */
  attachMs: number;
  /** how often whoever has a disk attached writes to it */
  diskWritesPerSecond: number;
  /** from a write of NLB until its job is done; further writes over the wire are busy meanwhile */
  nlbJobMs: number;
}

export type Health = 'normal' | 'abnormal' | 'unavailable';

/** What an action may look at and change. */
export interface Context {
  readonly clock: TwinClock;
  readonly state: CloudState;
  readonly ids: Ids;
  readonly limits: Limits;
  readonly rates: Rates;
  /** the result of the load balancer's health check of one member */
  readonly health: (server: string, ip: string, port: number) => Health;
  /** whether members must be instances and interfaces that exist */
  readonly strictServers: boolean;
  /** whether what an action begins on that resource will fail */
  readonly failsJob: (action: string, resource: string) => boolean;
  /** id of the VPC in which everything is that names none: the first of the options, else of the load balancers, else a made-up one */
  readonly firstVpc: () => string;
  /** calls of the twin's own parts are never busy */
  readonly via: 'wire' | 'direct';
}

export interface Action {
  /** refused with `Missing<Name>` without them */
  requires?: readonly string[];
  /** honours ClientToken */
  token?: true;
  /** knows DryRun: refused as DryRunOperation once rights and parameters are known to be fine */
  dryRun?: true;
  run(parameters: Parameters, context: Context): Json;
}

/** One product of the cloud: its name, the version that requests carry, its actions by name. */
export interface Product {
  name: string;
  version: string;
  /** its words for parameters that are missing or malformed; the gateway's own when absent */
  refusals?: Refusals;
  /** to a ClientToken that was used with other parameters; 403 IdempotentParameterMismatch when absent */
  tokenMismatch?: { status: number; code: string };
  /** to a ClientToken with other than 1 to 64 ASCII characters; 400 InvalidClientToken when absent */
  tokenMalformed?: { status: number; code: string };
  /** to a ClientToken whose first request is still being worked on; without it the second request waits for nothing */
  tokenUnderWay?: (action: string) => { status: number; code: string };
  /** its calls are counted per region and in minutes of the clock, each anew; without it in the last 60 seconds, whatever the region */
  countsByMinute?: true;
  actions: Readonly<Record<string, Action>>;
}
