import type { CloudSeed, Faults, TwinCloud } from '../types.js';
import { type AccountOptions, openAccount } from './account.js';
import type { AccessKey } from './signature.js';
import { startWire, type Wire } from './wire.js';

export type { AccountOptions } from './account.js';
export type { AccessKey } from './signature.js';

export interface CloudOptions extends AccountOptions {
  accessKeys: AccessKey[];
  /** asked for requests over the wire only, once they are authenticated */
  faults?: Faults;
  /** the machine's clock, against which signatures are dated; tests move it */
  wallNow?: () => number;
}

export interface StartedCloud extends Wire {
  /** the same actions in this process: neither signature, rights, throttle, busy window nor fault */
  cloud: TwinCloud;
  /** id of the VPC in which everything is that names none: what a cloud controller manager is to be told as its own */
  vpc(): string;
  /** adds to what there is */
  seed(seed: CloudSeed): void;
}

/**
 * Alibaba Cloud's OpenAPI for one account, in memory and on a loopback port of its own: CLB, ECS disks and snapshots, and what the
 * cloud controller manager reads beside them.
 */
export async function startCloud(options: CloudOptions): Promise<StartedCloud> {
  const account = openAccount(options);
  const { accessKeys, clock, faults, wallNow } = options;
  const wire = await startWire({ account, clock, accessKeys, faults, ...(wallNow === undefined ? {} : { wallNow }) });
  return { ...wire, cloud: account, vpc: () => account.vpc(), seed: (seed) => account.seed(seed) };
}
