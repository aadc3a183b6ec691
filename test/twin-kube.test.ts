import { realClock } from '../src/twin/clock.js';
import { startApiServer } from '../src/twin/kube/server.js';
import { kubeConformance } from './conformance/kube.js';

for (const version of ['v1.20.15', 'v1.36.3']) {
  kubeConformance(`twin ${version}`, async () => {
    const clock = realClock();
    const server = await startApiServer({ version, clock, name: 'source', token: 'admin-token' });
    const rules = [{ verbs: ['get', 'list'], groups: [''], resources: ['configmaps'], namespaces: ['readable'] }];
    server.addIdentity('reader-token', { user: 'reader', rules });
    return {
      url: server.url,
      token: server.token,
      readerToken: 'reader-token',
      version,
      controllers: true,
      async stop() {
        await server.stop();
        clock.stop();
      },
    };
  });
}
