import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { remoteApi } from '../../src/twin/controllers/remote.js';
import { type Judged, veleroConformance } from '../conformance/velero.js';
import type { ControlPlane } from '../servers/control-plane.js';
import { startMove } from '../servers/move.js';

veleroConformance('1.18.3 on kube-apiserver 1.20.15 and 1.36.3', async () => {
  const move = await startMove({
    source: { controllers: ['namespace'], kwok: false },
    target: { controllers: ['namespace'], kwok: false },
  });
  const closers: (() => void)[] = [];
  const open = async (plane: ControlPlane): Promise<Judged> => {
    const api = await remoteApi({ url: plane.server, token: plane.token, ca: readFileSync(plane.caFile) });
    closers.push(() => api.close());
    return api;
  };
  const [source, target] = [await open(move.source), await open(move.target)];
  return {
    source,
    target,
    sleep: (ms) => sleep(ms),
    stop: async () => {
      for (const close of closers) close();
      await move.stop();
    },
  };
});
