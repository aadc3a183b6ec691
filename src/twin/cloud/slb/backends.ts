import type { Json } from '../../types.js';
import { refuse } from '../errors.js';
import type { Backend } from '../state.js';

const MAX_WEIGHT = 100;
const DEFAULT_WEIGHT = 100;
const MAX_PORT = 65_535;

/** A member as a request names it. */
export interface NamedBackend {
  server: string;
  /** empty when the request says none */
  ip: string;
  port: number;
  weight: number;
  type: Backend['type'];
  description: string | undefined;
}

const malformed = (why: string): never =>
  refuse(400, 'BackendServersMalformed', `The specified BackendServers is malformed: ${why}.`);

// Terraform writes the list with single quotes, and the real parser takes it (aliyun/terraform-provider-alicloud:alicloud/extension_slb.go).
function parseLenient(text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    try {
      return JSON.parse(text.replaceAll("'", '"'));
    } catch {
      return malformed('it is not a JSON list');
    }
  }
}

function wholeNumber(value: Json, min: number, max: number): number | undefined {
  const number =
    typeof value === 'number' ? value : typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : Number.NaN;
  return Number.isInteger(number) && number >= min && number <= max ? number : undefined;
}

function parseMember(member: Json): NamedBackend {
  if (typeof member !== 'object' || member === null || Array.isArray(member))
    return malformed('a member is not an object');
  // The controller writes `serverId`, the SDKs `ServerId`; further keys are nobody's business.
  const fields = new Map(Object.entries<Json>(member).map(([key, value]) => [key.toLowerCase(), value]));

  const server = fields.get('serverid');
  if (typeof server !== 'string' || server === '') return malformed('a member has no ServerId');

  const port = wholeNumber(fields.get('port'), 1, MAX_PORT);
  if (port === undefined) return malformed(`${server} has no valid Port`);

  const given = fields.get('weight') ?? DEFAULT_WEIGHT;
  const weight = wholeNumber(given, 0, MAX_WEIGHT);
  if (weight === undefined)
    refuse(400, 'InvalidWeight.Malformed', `The weight of ${server} must be an integer from 0 to ${MAX_WEIGHT}.`);

  const type = fields.get('type') || 'ecs';
  if (type !== 'ecs' && type !== 'eni' && type !== 'eci') return malformed(`${server} has no valid Type`);

  const description = fields.get('description');
  return {
    server,
    ip: String(fields.get('serverip') ?? ''),
    port,
    weight: weight,
    type,
    description: typeof description === 'string' ? description : undefined,
  };
}

/**
 * BackendServers in the three forms that real clients send: the SDKs' (strings), the cloud controller manager's (lower camel case,
 * numbers, extra keys) and Terraform's (single quotes).
 *
 * @throws CloudRefusal BackendServersMalformed, InvalidWeight.Malformed, TooManyBackendServers
 * @source Slb 2014-05-15, AddVServerGroupBackendServers; kubernetes/cloud-provider-alibaba-cloud:pkg/model/load_balancer.go
 */
export function parseBackends(text: string, limit: number): NamedBackend[] {
  const list = parseLenient(text);
  if (!Array.isArray(list)) return malformed('it is not a JSON list');
  if (list.length > limit) {
    refuse(400, 'TooManyBackendServers', `The number of backend servers in one call exceeds ${limit}.`);
  }
  return list.map(parseMember);
}

/** Members are told apart by server and port, and where an interface has several addresses by address too. */
export function isMember(member: Backend, named: { server: string; ip: string; port: number }): boolean {
  return (
    member.server === named.server &&
    member.port === named.port &&
    (member.type === 'ecs' || named.ip === '' || member.ip === named.ip)
  );
}

export const backendFields = (it: Backend, withIp = true): Json => ({
  ServerId: it.server,
  ...(withIp ? { ServerIp: it.ip } : {}),
  Port: it.port,
  Weight: it.weight,
  Type: it.type,
  Description: it.description,
});
