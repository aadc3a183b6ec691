import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { realClock } from '../../src/twin/clock.js';
import { startCloud, type StartedCloud } from '../../src/twin/cloud/cloud.js';
import { startCcm } from '../../src/twin/controllers/ccm.js';
import { instanceOf, zoneOf } from '../../src/twin/controllers/pods.js';
import { type RemoteApi, remoteApi } from '../../src/twin/controllers/remote.js';
import { isNode, seedObjects } from '../../src/twin/seed.js';
import type { ClusterSeed, Json, TwinObject } from '../../src/twin/types.js';
import { BALANCER, pairOf, type PairOptions } from '../pair.js';
import { plugInterfaces } from './attachments.js';
import type { KubernetesVersion } from './binaries.js';
import { addNodes, type ControlPlane, startControlPlane, writeKubeconfig } from './control-plane.js';

type Side = 'source' | 'target';

/** Two clusters behind one server group, of real API servers, controller managers and schedulers, with the cloud's controller of the twin on each. */
export interface RealPair extends Record<Side, { plane: ControlPlane; api: RemoteApi }> {
  cloud: StartedCloud;
  /** the playbook */
  text: string;
  /** what the shell of an operator would export */
  env: Record<string, string>;
  /** weights of a side's members, in the order of the group */
  weights(side: Side): number[];
  stop(): Promise<void>;
}

const VERSIONS: Record<Side, KubernetesVersion> = { source: '1.20.15', target: '1.36.3' };
/** of the VPC, so that the controller takes them for interfaces */
const POD_CIDRS: Record<Side, string> = { source: '192.168.64.0/20', target: '192.168.80.0/20' };
const OWNERS: Record<Side, string> = { source: 'c-old', target: 'c-new' };
const VPC = 'vpc-pair';
const RESOURCES: Record<string, string> = {
  Namespace: 'namespaces',
  Deployment: 'deployments',
  Service: 'services',
  ConfigMap: 'configmaps',
};
/** What the preflight wants to know of every cluster. */
const KUBE_PROXY: TwinObject = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'kube-proxy', namespace: 'kube-system' },
  data: {
    'config.conf': 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: iptables\n',
  },
};

/** @returns when the pods are ready and the source's are in the group */
export async function startRealPair(options: PairOptions, deployment: Json = {}): Promise<RealPair> {
  const { seed, text } = pairOf(options);
  const dir = mkdtempSync(path.join(os.tmpdir(), 'migrate-real-pair-'));
  const clock = realClock();
  const stops: (() => void | Promise<void>)[] = [
    () => rmSync(dir, { recursive: true, force: true }),
    () => clock.stop(),
  ];
  const stop = async (): Promise<void> => {
    for (const one of stops.toReversed()) await one();
  };
  try {
    const accessKey = { id: `LTAI-${randomBytes(8).toString('hex')}`, secret: randomBytes(16).toString('hex') };
    const { region } = seed.cloud;
    const cloud = await startCloud({
      clock,
      region,
      accessKeys: [accessKey],
      vpcs: [{ id: VPC, name: VPC, region, cidr: '192.168.0.0/16', secondaryCidrs: [], vswitches: [] }],
    });
    stops.push(() => cloud.stop());
    for (const node of [...seedObjects(seed.source), ...seedObjects(seed.target)].filter(isNode))
      cloud.cloud.addInstance({ id: instanceOf(node) ?? '', zone: zoneOf(node), ip: addressOf(node), vpc: VPC });
    cloud.seed(seed.cloud);

    const open = async (side: Side): Promise<{ plane: ControlPlane; api: RemoteApi }> => {
      const plane = await startControlPlane({ version: VERSIONS[side], podCidr: POD_CIDRS[side] });
      stops.push(() => plane.stop());
      const api = await remoteApi({ url: plane.server, token: plane.token, ca: readFileSync(plane.caFile) });
      stops.push(() => api.close());
      await furnish(api, plane, seed[side], deployment);
      stops.push(await plugInterfaces(api, cloud.cloud));
      const { ccm } = seed[side];
      if (!ccm) throw new Error(`the ${side} has no controller`);
      const controller = await startCcm(api, clock, cloud.cloud, {
        backendMode: 'eni',
        ...ccm,
        vpc: VPC,
        seed: side,
        latencyMs: { from: 50, to: 150 },
      });
      stops.push(() => controller.stop());
      return { plane, api };
    };
    const [source, target] = await Promise.all([open('source'), open('target')]);

    const kubeconfig = path.join(dir, 'kubeconfig');
    writeKubeconfig(kubeconfig, [
      { name: 'old', plane: source.plane },
      { name: 'new', plane: target.plane },
    ]);
    const weights = (side: Side): number[] =>
      (cloud.cloud.listenerBackends(BALANCER, 80) ?? [])
        .filter((it) => it.description.endsWith(OWNERS[side]))
        .map((it) => it.weight);
    for (const { api, plane } of [source, target]) await plane.until('the pods ready', () => isRolledOut(api));
    await source.plane.until('the source in its group', async () => weights('source').length === options.source?.pods);
    return {
      source,
      target,
      cloud,
      text: text.replace('context: new,', `context: new, clusterId: ${OWNERS.target},`),
      env: {
        KUBECONFIG: kubeconfig,
        MIGRATE_ALIBABA_ENDPOINT: cloud.url,
        ALIBABA_CLOUD_ACCESS_KEY_ID: accessKey.id,
        ALIBABA_CLOUD_ACCESS_KEY_SECRET: accessKey.secret,
      },
      weights,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

const addressOf = (node: TwinObject): string =>
  (node['status'].addresses as Json[]).find((it) => it.type === 'InternalIP').address;

async function furnish(api: RemoteApi, plane: ControlPlane, seed: ClusterSeed, deployment: Json): Promise<void> {
  const objects = seedObjects(seed);
  const nodes = objects.filter(isNode);
  await addNodes(plane, nodes.length, {
    capacity: { cpu: '64', memory: '256Gi', pods: '500' },
    providerID: (index) => nodes[index]?.['spec'].providerID,
    address: (index) => addressOf(nodes[index] as TwinObject),
  });
  for (const object of [KUBE_PROXY, ...objects.filter((it) => !isNode(it))]) {
    const { kind, apiVersion } = object;
    await api.create(
      `${apiVersion}/${RESOURCES[kind]}`,
      kind === 'Deployment' ? { ...object, spec: { ...object['spec'], ...deployment } } : object,
    );
  }
}

/** Whether every pod is of the Deployment's last template, and has been ready for as long as it asks. */
export async function isRolledOut(api: RemoteApi): Promise<boolean> {
  const it = await api.get('apps/v1/deployments', 'shop', 'web');
  const { observedGeneration, replicas, updatedReplicas, availableReplicas } = it?.['status'] ?? {};
  const wanted = it?.['spec'].replicas;
  return (
    observedGeneration === it?.metadata.generation &&
    [replicas, updatedReplicas, availableReplicas].every((count) => count === wanted)
  );
}

/** What `kubectl rollout restart` does. */
export const restart = async (api: RemoteApi): Promise<void> =>
  void (await api.mergePatch('apps/v1/deployments', 'shop', 'web', {
    spec: {
      template: { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': new Date().toISOString() } } },
    },
  }));
