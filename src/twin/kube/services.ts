import { seededRandom } from '../random.js';
import type { Json, TwinObject } from '../types.js';
import type { Fault } from './errors.js';
import { invalid, invalidValue, notSupported, required } from './errors.js';
import { isMap } from './json.js';
import { LABEL_TEXT } from './meta.js';
import type { Rules } from './rule.js';
import type { Store } from './store.js';

/** The first release whose load balancers may have ports of several protocols (KEP-1435). */
const MIXED_PROTOCOLS_MINOR = 24;
/** The first release that notes how a load balancer delivers (KEP-1860). */
const IP_MODE_MINOR = 30;

/** What a server gets by --service-cluster-ip-range and --service-node-port-range. */
const CLUSTER_PREFIX = '10.96';
const NODE_PORTS = { first: 30_000, last: 32_767 } as const;
const TYPES = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];

const NO_ADDRESS = 'None';

const services = (store: Store): TwinObject[] => store.stored(store.served('v1/services').stored);

const usesNodePorts = (spec: Json): boolean =>
  spec.type === 'NodePort' || (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false);

const isSame = (a: TwinObject, b: TwinObject): boolean =>
  a.metadata.name === b.metadata.name && a.metadata.namespace === b.metadata.namespace;

const nameOf = ({ metadata }: TwinObject): string => `${metadata.namespace}/${metadata.name}`;

function takenPorts(store: Store, but: TwinObject): Set<string> {
  const taken = new Set<string>();
  for (const service of services(store)) {
    if (isSame(service, but)) continue;
    for (const { nodePort, protocol } of service['spec'].ports ?? [])
      if (nodePort) taken.add(`${nodePort}/${protocol}`);
    if (service['spec'].healthCheckNodePort) taken.add(`${service['spec'].healthCheckNodePort}/TCP`);
  }
  return taken;
}

/** What is drawn follows from what it is for, so that a retry more or less elsewhere doesn't change it. */
function draw<T>(store: Store, key: string, from: (fraction: number) => T, isTaken: (value: T) => boolean): T {
  const next = seededRandom(`${store.version} ${key}`);
  for (let tries = 0; tries < 10_000; tries++) {
    const value = from(next());
    if (!isTaken(value)) return value;
  }
  throw new Error('the range is full');
}

function drawPort(store: Store, taken: Set<string>, object: TwinObject, use: string, protocol: string): number {
  const span = NODE_PORTS.last - NODE_PORTS.first + 1;
  const port = draw(
    store,
    `${nameOf(object)} ${use}/${protocol}`,
    (fraction) => NODE_PORTS.first + Math.floor(fraction * span),
    (it) => taken.has(`${it}/${protocol}`),
  );
  taken.add(`${port}/${protocol}`);
  return port;
}

function allocateAddress(object: TwinObject, store: Store): void {
  const { spec } = object as Json;
  if (spec.clusterIP === NO_ADDRESS) {
    spec.clusterIPs = [NO_ADDRESS];
    return;
  }
  const taken = new Map(
    services(store)
      .filter((it) => !isSame(it, object))
      .map((it) => [it['spec'].clusterIP, it]),
  );
  if (spec.clusterIP) {
    if (taken.has(spec.clusterIP)) {
      const faults = [
        invalidValue(
          store.minor >= 20 ? 'spec.clusterIPs' : 'spec.clusterIP',
          store.minor >= 20 ? [spec.clusterIP] : spec.clusterIP,
          'failed to allocate IP ' + spec.clusterIP + ': provided IP is already allocated',
        ),
      ];
      throw invalid(SERVICE, object.metadata.name, faults);
    }
  } else {
    spec.clusterIP = draw(
      store,
      nameOf(object),
      (fraction) => {
        const number = 10 + Math.floor(fraction * 65_000);
        return `${CLUSTER_PREFIX}.${number >> 8}.${number & 255}`;
      },
      (address) => taken.has(address),
    );
  }
  spec.clusterIPs = [spec.clusterIP];
}

const SERVICE = { group: '', resource: 'services', kind: 'Service' };

function allocatePorts(object: TwinObject, before: TwinObject | undefined, store: Store): void {
  const { spec } = object as Json;
  if (!usesNodePorts(spec)) {
    const kept = new Set((before?.['spec'].ports ?? []).map((port: Json) => port.nodePort));
    for (const port of spec.ports ?? []) if (kept.has(port.nodePort)) delete port.nodePort;
    if (spec.type !== 'LoadBalancer') delete spec.healthCheckNodePort;
    if (!(spec.ports ?? []).some((port: Json) => port.nodePort)) return;
  }
  const taken = takenPorts(store, object);
  const given = new Set<string>();
  (spec.ports ?? []).forEach((port: Json, index: number) => {
    if (!port.nodePort) return;
    const key = `${port.nodePort}/${port.protocol}`;
    if (taken.has(key)) throw portTaken(object, index, port.nodePort, 'provided port is already allocated');
    if (port.nodePort < NODE_PORTS.first || port.nodePort > NODE_PORTS.last) {
      const range = `provided port is not in the valid range. The range of valid ports is ${NODE_PORTS.first}-${NODE_PORTS.last}`;
      throw portTaken(object, index, port.nodePort, range);
    }
    given.add(key);
  });
  for (const key of given) taken.add(key);
  if (!usesNodePorts(spec)) return;
  for (const port of spec.ports ?? []) {
    if (port.nodePort) continue;
    const old = before?.['spec'].ports?.find(
      (it: Json) => it.port === port.port && it.protocol === port.protocol && it.nodePort,
    );
    const sharing = (spec.ports as Json[]).find(
      (it) => it !== port && it.port === port.port && it.nodePort && !taken.has(`${it.nodePort}/${port.protocol}`),
    );
    if (old && !taken.has(`${old.nodePort}/${port.protocol}`)) port.nodePort = old.nodePort;
    else if (sharing) port.nodePort = sharing.nodePort;
    else port.nodePort = drawPort(store, taken, object, port.port, port.protocol);
    taken.add(`${port.nodePort}/${port.protocol}`);
  }
  if (spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local') {
    spec.healthCheckNodePort ??=
      before?.['spec'].healthCheckNodePort ?? drawPort(store, taken, object, 'health', 'TCP');
  } else delete spec.healthCheckNodePort;
}

const portTaken = (object: TwinObject, index: number, port: number, detail: string): Error =>
  invalid(SERVICE, object.metadata.name, [invalidValue(`spec.ports[${index}].nodePort`, port, detail)]);

const PORT_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

function checkPorts(spec: Json): Fault[] {
  const ports = spec.ports ?? [];
  if (ports.length === 0 && spec.clusterIP !== NO_ADDRESS && spec.type !== 'ExternalName')
    return [required('spec.ports')];
  const seen = new Set<string>();
  return ports.flatMap((port: Json, index: number) => {
    const path = `spec.ports[${index}]`;
    const faults: Fault[] = [];
    if (!port.name && ports.length > 1) faults.push(required(`${path}.name`));
    if (port.name && !PORT_NAME.test(port.name)) faults.push(invalidValue(`${path}.name`, port.name, LABEL_TEXT));
    if (!Number.isInteger(port.port) || port.port < 1 || port.port > 65_535) {
      faults.push(invalidValue(`${path}.port`, port.port ?? 0, 'must be between 1 and 65535, inclusive'));
    }
    if (typeof port.targetPort === 'number' && (port.targetPort < 1 || port.targetPort > 65_535)) {
      faults.push(invalidValue(`${path}.targetPort`, port.targetPort, 'must be between 1 and 65535, inclusive'));
    }
    const key = `${port.port}/${port.protocol}`;
    if (seen.has(key)) {
      const value = { protocol: port.protocol, port: port.port };
      faults.push({ field: path, reason: 'FieldValueDuplicate', message: `Duplicate value: ${JSON.stringify(value)}` });
    }
    seen.add(key);
    return faults;
  });
}

/**
 * Addresses and node ports are drawn from the ranges and stay with their Service.
 *
 * @source kubernetes/kubernetes:pkg/apis/core/v1/defaults.go, pkg/apis/core/validation/validation.go, pkg/registry/core/service/storage
 */
export const serviceRules: Rules = {
  create(object) {
    object['status'] = { loadBalancer: {} };
  },

  update(object, before) {
    const spec = object['spec'];
    const old = before['spec'];
    if (!isMap(spec) || spec['type'] === 'ExternalName') return;
    // A client that leaves these out keeps what the server gave.
    for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy']) {
      if (!spec[field] && old[field] && old.type !== 'ExternalName') spec[field] = old[field];
    }
  },

  defaults(object, store) {
    const spec: Json = (object['spec'] ??= {});
    spec.type ??= 'ClusterIP';
    spec.sessionAffinity ??= 'None';
    if (spec.sessionAffinity === 'ClientIP') spec.sessionAffinityConfig ??= { clientIP: { timeoutSeconds: 10_800 } };
    for (const port of spec.ports ?? []) {
      port.protocol ??= 'TCP';
      port.targetPort ||= port.port;
    }
    if (spec.type === 'NodePort' || spec.type === 'LoadBalancer') spec.externalTrafficPolicy ??= 'Cluster';
    if (spec.type === 'ClusterIP') delete spec.externalTrafficPolicy;
    if (spec.type === 'LoadBalancer' && store.minor >= 22) spec.allocateLoadBalancerNodePorts ??= true;
    if (spec.type !== 'LoadBalancer') delete spec.allocateLoadBalancerNodePorts;
    if (spec.type === 'ExternalName') {
      for (const field of ['externalTrafficPolicy', 'internalTrafficPolicy', 'ipFamilies', 'ipFamilyPolicy'])
        delete spec[field];
      return;
    }
    if (store.minor >= 22) spec.internalTrafficPolicy ??= 'Cluster';
    if (store.minor >= 23) {
      spec.ipFamilies ??= ['IPv4'];
      spec.ipFamilyPolicy ??= 'SingleStack';
    }
  },

  status(object, store) {
    if (store.minor < IP_MODE_MINOR) return;
    for (const address of object['status']?.loadBalancer?.ingress ?? []) if (address.ip) address.ipMode ??= 'VIP';
  },

  check(object, before, store) {
    const spec = object['spec'];
    const faults = checkPorts(spec);
    const protocols = new Set((spec.ports ?? []).map((port: Json) => port.protocol));
    if (spec.type === 'LoadBalancer' && protocols.size > 1 && store.minor < MIXED_PROTOCOLS_MINOR) {
      faults.push(
        invalidValue('spec.ports', spec.ports, "may not contain a mix of protocols when 'type' is 'LoadBalancer'"),
      );
    }
    if (!TYPES.includes(spec.type)) faults.push(notSupported('spec.type', spec.type, TYPES));
    const old = before?.['spec'];
    const keeps = old && old.type !== 'ExternalName' && spec.type !== 'ExternalName';
    if (keeps && old.clusterIP && spec.clusterIP !== old.clusterIP) {
      const several = Array.isArray(old.clusterIPs);
      const field = several ? 'spec.clusterIPs[0]' : 'spec.clusterIP';
      faults.push(
        invalidValue(
          field,
          several ? [spec.clusterIP] : spec.clusterIP,
          several ? 'may not change once set' : 'field is immutable',
        ),
      );
    }
    return faults;
  },

  allocate(object, before, store) {
    if (object['spec'].type === 'ExternalName') {
      delete object['spec'].clusterIP;
      delete object['spec'].clusterIPs;
    } else allocateAddress(object, store);
    if (store.minor < 20) delete object['spec'].clusterIPs;
    allocatePorts(object, before, store);
  },
};
