import type { Json } from '../types.js';
import { isAllowed, isOpenToAll, resourceRules } from './identities.js';
import type { Target } from './route.js';
import type { Store } from './store.js';
import type { WireRequest } from './wire.js';
import { readObject } from './wire.js';

/** Questions about rights; nothing of them is kept. */
export function review(_store: Store, { served }: Target, request: WireRequest): Json {
  const asked = readObject(request);
  const spec = asked['spec'] ?? {};
  const answer = { kind: served.kind, apiVersion: served.apiVersion, metadata: { creationTimestamp: null } };
  const { user, groups } = request.identity;
  switch (served.kind) {
    case 'SelfSubjectAccessReview':
      return { ...answer, spec, status: accessOf(request, spec) };
    case 'SubjectAccessReview':
    case 'LocalSubjectAccessReview':
      return { ...answer, spec, status: spec.user === user ? accessOf(request, spec) : { allowed: false } };
    case 'SelfSubjectRulesReview':
      return { ...answer, spec: {}, status: rulesOf(request, spec.namespace ?? '') };
    case 'SelfSubjectReview':
      return { ...answer, status: { userInfo: { username: user, groups } } };
    case 'TokenReview':
      return { ...answer, spec: {}, status: { user: {}, error: 'this server looks up tokens in a file only' } };
    default:
      return { ...answer, spec };
  }
}

function accessOf({ identity }: WireRequest, spec: Json): Json {
  const wanted = spec.resourceAttributes;
  if (!wanted) return { allowed: true, reason: '' };
  const { verb = '*', group = '', resource = '*', subresource, namespace } = wanted;
  const right = { verb, group, resource, subresource: subresource || undefined, namespace };
  if (isAllowed(identity, right) || isOpenToAll(right)) return { allowed: true };
  return { allowed: false };
}

function rulesOf({ identity }: WireRequest, namespace: string): Json {
  const own = {
    verbs: ['create'],
    apiGroups: ['authorization.k8s.io'],
    resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
  };
  const nonResourceRules = [{ verbs: ['get'], nonResourceURLs: ['/healthz', '/livez', '/readyz', '/version'] }];
  return { resourceRules: [...resourceRules(identity, namespace), own], nonResourceRules, incomplete: false };
}
