import type { KubeObject } from '../src/ports.js';

/** Numbers by which a Service is reached at every node: of its ports, and that at which kube-proxy tells its health. */

interface Numbers {
  ports?: { nodePort?: number }[];
  healthCheckNodePort?: number;
}

export const numbersOf = ({ ports = [], healthCheckNodePort }: Numbers): number[] =>
  [...ports.map((it) => it.nodePort), healthCheckNodePort].filter((it) => it !== undefined);

const FILE = 'kubectl.kubernetes.io/last-applied-configuration';

/** Those that somebody wrote into the file of the Service; the others were given out by the cluster. */
export function writtenPorts({ metadata }: KubeObject): number[] {
  try {
    const { spec = {} } = JSON.parse(metadata.annotations?.[FILE] ?? '{}') as { spec?: Numbers };
    return numbersOf(spec);
  } catch {
    return []; // whoever wrote that will hear of it from kubectl
  }
}

/** A Service of whose file no more is there than these numbers; undefined where there are none. */
export function writtenNumbers(service: KubeObject): KubeObject | undefined {
  const ports = writtenPorts(service).map((nodePort) => ({ nodePort }));
  if (ports.length === 0) return undefined;
  const { name, namespace } = service.metadata;
  const annotations = { [FILE]: JSON.stringify({ spec: { ports } }) };
  return {
    apiVersion: service.apiVersion,
    kind: service.kind,
    metadata: { name, ...(namespace !== undefined && { namespace }), annotations },
  };
}
