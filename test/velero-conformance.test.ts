import { virtualClock } from '../src/twin/clock.js';
import { memoryStore, startVelero, veleroCrds, veleroObjects } from '../src/twin/controllers/velero.js';
import { directApi } from '../src/twin/kube/direct.js';
import { Store } from '../src/twin/kube/store.js';
import { type Judged, veleroConformance } from './conformance/velero.js';

veleroConformance('the twin', async () => {
  const clock = virtualClock('2026-01-01T00:00:00Z');
  const store = memoryStore(['migrate']);
  const stops: (() => void)[] = [];
  const open = async (name: 'source' | 'target', version: string): Promise<Judged> => {
    const kube = new Store({ version, clock, name });
    kube.seed([...veleroCrds(), ...veleroObjects()]);
    const api = directApi(kube);
    const velero = await startVelero(api, clock, { version: '1.18.3', store });
    stops.push(() => velero.stop());
    return api;
  };
  const [source, target] = [await open('source', 'v1.20.15'), await open('target', 'v1.36.3')];
  await clock.idle();
  return {
    source,
    target,
    sleep: (ms) => clock.sleep(ms),
    stop: async () => {
      for (const stop of stops) stop();
      clock.stop();
    },
  };
});
