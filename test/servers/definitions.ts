import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { binaryPath } from './binaries.js';
import type { ControlPlane, KubernetesObject } from './control-plane.js';

const PATHS: Record<string, string> = {
  CustomResourceDefinition: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
  ValidatingAdmissionPolicy: '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies',
  ValidatingAdmissionPolicyBinding: '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings',
};

/** Gives a real API server the kinds of a module as they are published, and waits until it serves them. */
export async function giveDefinitions(
  plane: ControlPlane,
  module: 'gateway-api' | 'istio-api' | 'external-snapshotter',
): Promise<void> {
  const text = readFileSync(binaryPath(`${module}.yaml`), 'utf8');
  const objects: KubernetesObject[] = parseAllDocuments(text)
    .map((it): unknown => it.toJSON())
    .filter((it) => it !== null);
  for (const object of objects) {
    const { status, body } = await plane.request('POST', PATHS[object.kind] ?? '', object);
    if (status !== 201) throw new Error(`${object.kind} ${object.metadata.name}: ${JSON.stringify(body)}`);
  }
  for (const { metadata } of objects.filter((it) => it.kind === 'CustomResourceDefinition'))
    await plane.until(`${metadata.name} is served`, async () => {
      const { body } = await plane.request('GET', `${PATHS['CustomResourceDefinition']}/${metadata.name}`);
      const conditions = (body.status?.conditions ?? []) as { type: string; status: string }[];
      return conditions.some((it) => it.type === 'Established' && it.status === 'True');
    });
}
