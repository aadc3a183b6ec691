import { readFileSync } from 'node:fs';
import { kubeConformance } from '../conformance/kube.js';
import { startControlPlane } from '../servers/control-plane.js';

/** What empties namespaces, collects garbage and lets go of claims; pods stay Pending. */
const CONTROLLERS = ['namespace', 'garbagecollector', 'serviceaccount', 'pvc-protection', 'pv-protection'];
const RBAC = '/apis/rbac.authorization.k8s.io/v1/namespaces/readable';

for (const version of ['1.20.15', '1.36.3'] as const) {
  kubeConformance(`kube-apiserver ${version}`, async () => {
    const readerToken = 'reader-token';
    const plane = await startControlPlane({
      version,
      kwok: false,
      controllers: CONTROLLERS,
      tokens: [{ token: readerToken, user: 'reader' }],
    });
    await plane.request('POST', '/api/v1/namespaces', { metadata: { name: 'readable' } });
    await plane.request('POST', `${RBAC}/roles`, {
      metadata: { name: 'reader' },
      rules: [{ verbs: ['get', 'list'], apiGroups: [''], resources: ['configmaps'] }],
    });
    await plane.request('POST', `${RBAC}/rolebindings`, {
      metadata: { name: 'reader' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'reader' }],
    });
    return {
      url: plane.server,
      token: plane.token,
      ca: readFileSync(plane.caFile),
      readerToken,
      version: `v${version}`,
      controllers: true,
      stop: () => plane.stop(),
    };
  });
}
