import { lbAnnotation } from '../src/objects.js';
import type { KubeObject } from '../src/ports.js';

/**
 * The cloud controller manager's annotations on a Service. It reads two prefixes; the newer one wins as soon as its key
 * exists, even with an empty value.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/reconcile/annotation/annotations.go
 */
export const PREFIXES = [
  'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-',
  'service.beta.kubernetes.io/alicloud-loadbalancer-',
] as const;

/** @returns undefined when neither prefix has it, or there is no Service */
export const annotation = (service: KubeObject | undefined, suffix: string): string | undefined =>
  service && lbAnnotation(service, suffix);

/** Every suffix that the controller reads, of v2.14.0 and before. */
export const SUFFIXES = `
  acl-id acl-status acl-type additional-resource-tags address-type backend-ip-version backend-label bandwidth cert-id
  charge-type connection-drain connection-drain-timeout cookie cookie-timeout default-weight delete-protection
  domain-extensions established-timeout external-ip-type force-override-listeners forward-port health-check-connect-port
  health-check-connect-timeout health-check-domain health-check-flag health-check-httpcode health-check-interval
  health-check-method health-check-switch health-check-timeout health-check-type health-check-uri healthy-threshold hostname
  http2-enabled id idle-timeout ignore-weight-update instance-charge-type ip ip-version master-zoneid
  modification-protection name network-type persistence-timeout preserve-lb-on-delete protocol-port proxy-protocol
  remove-unscheduled-backend request-timeout resource-group-id scheduler slave-zoneid spec sticky-session
  sticky-session-type tls-cipher-policy type tunnel-type unhealthy-threshold vgroup-port vswitch-id weight
  xforwardedfor-clientsrcport xforwardedfor-proto xforwardedfor-slbport`
  .trim()
  .split(/\s+/);

/** Suffixes that only its loop for network load balancers reads. */
export const NLB_SUFFIXES = `
  additional-cert-ids alpn alpn-policy bandwidth-package-id cacert cacert-id cps cross-zone-enabled ipv6-address-type
  listener-port-range ppv2-pvl-ep-id-enabled ppv2-pvl-eps-id-enabled ppv2-vpc-id-enabled preserve-client-ip
  security-group-ids server-group-type zone-maps`
  .trim()
  .split(/\s+/);

/** How the controller signs groups and members that it made: see `signature`. */
export interface Signature {
  port: string;
  service: string;
  namespace: string;
  clusterId: string;
}

/**
 * `k8s/<port>/<service>/<namespace>/<cluster id>`, and of an NLB `k8s.<port>.<protocol>.<service>.<namespace>.<cluster id>`
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/model/load_balancer.go: five parts, the first of them `k8s`
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/model/nlb/nlb.go: six, at dots
 */
export function signature(text: string): Signature | undefined {
  const [, port, service, namespace, clusterId] =
    /^k8s\/([^/]+)\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(text) ??
    /^k8s\.([^.]+)\.[^.]+\.([^.]+)\.([^.]+)\.([^.]+)$/.exec(text) ??
    [];
  return port && service && namespace && clusterId ? { port, service, namespace, clusterId } : undefined;
}
