import type { Json } from '../../types.js';
import type { Tags } from '../state.js';

/** A server of a group. Told from others by type, id, address (where one is given) and port. */
export interface NlbServer {
  server: string;
  /** of an interface or an address; empty for an instance */
  ip: string;
  type: 'Ecs' | 'Eni' | 'Eci' | 'Ip';
  /** 0 in groups that take every port */
  port: number;
  weight: number;
  description: string;
  status: 'Adding' | 'Available' | 'Configuring' | 'Removing';
}

/** A group belongs to a region and a VPC, not to a load balancer. */
export interface NlbGroup {
  id: string;
  name: string;
  region: string;
  vpc: string;
  type: 'Instance' | 'Ip';
  protocol: 'TCP' | 'UDP' | 'TCP_UDP';
  /** as the API spells it: `Wrr`, `Wlc`, `Rr`, `Sch`, `Tch`, `Qch` */
  scheduler: string;
  addressIpVersion: string;
  anyPort: boolean;
  connectionDrain: boolean;
  connectionDrainTimeout: number;
  preserveClientIp: boolean;
  /** by wire name */
  healthCheck: Record<string, string | number | boolean | string[]>;
  resourceGroup: string;
  servers: NlbServer[];
  tags: Tags;
  createdMs: number;
  busyUntilMs: number;
}

export interface NlbListener {
  id: string;
  port: number;
  /** '' but for a listener of a range, whose port is 0 */
  startPort: string;
  endPort: string;
  protocol: 'TCP' | 'UDP' | 'TCPSSL';
  status: 'Running' | 'Stopped';
  description: string;
  group: string;
  idleTimeout: number;
  /** what else was given, by wire name; stored, and played by nothing */
  config: Record<string, Json>;
  tags: Tags;
  busyUntilMs: number;
}

export interface Nlb {
  id: string;
  name: string;
  dnsName: string;
  addressType: 'Internet' | 'Intranet';
  addressIpVersion: string;
  region: string;
  vpc: string;
  crossZone: boolean;
  zones: { zone: string; vswitch: string; privateIp: string; publicIp: string }[];
  securityGroups: string[];
  deletionProtection: { enabled: boolean; reason: string };
  modificationProtection: { status: string; reason: string };
  resourceGroup: string;
  listeners: NlbListener[];
  tags: Tags;
  createdMs: number;
  busyUntilMs: number;
}

/** What an asynchronous write is on its way to. */
export interface NlbJob {
  id: string;
  status: 'Processing' | 'Succeeded' | 'Failed';
  doneMs: number;
  end: () => void;
}

export interface NlbState {
  readonly loadBalancers: Map<string, Nlb>;
  readonly groups: Map<string, NlbGroup>;
  readonly jobs: Map<string, NlbJob>;
}

export const emptyNlbState = (): NlbState => ({ loadBalancers: new Map(), groups: new Map(), jobs: new Map() });

/** Brings about what the jobs that are over by now were on their way to. */
export function settleJobs({ jobs }: NlbState, nowMs: number): void {
  for (const job of jobs.values()) {
    if (job.status !== 'Processing' || job.doneMs > nowMs) continue;
    job.end();
  }
}
