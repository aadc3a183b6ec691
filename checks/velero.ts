import type { SideSight } from '../src/check.js';
import type { Playbook } from '../src/playbook.js';
import type { KubeObject } from '../src/ports.js';
import { imageOf, versionOf } from './images.js';

/** The server of Velero: what it is told, and which release it is. */

export const veleroNamespace = ({ data }: Playbook): string => data?.velero.namespace ?? 'velero';

export const veleroServer = (side: SideSight, playbook: Playbook): KubeObject | undefined =>
  side.get('Deployment.apps', veleroNamespace(playbook), 'velero');

interface Container {
  image?: string;
  command?: string[];
  args?: string[];
}

const containerOf = (server: KubeObject | undefined): Container | undefined =>
  server?.['spec']?.template?.spec?.containers?.[0];

/** What `--features` names; undefined without a server. */
export function veleroFeatures(side: SideSight, playbook: Playbook): string[] | undefined {
  const container = containerOf(veleroServer(side, playbook));
  if (!container) return undefined;
  const words = [...(container.command ?? []), ...(container.args ?? [])];
  return words.flatMap((it, index) =>
    it.startsWith('--features=')
      ? it.slice('--features='.length).split(',')
      : it === '--features'
        ? (words[index + 1] ?? '').split(',')
        : [],
  );
}

/** `[1, 18, 3]` by the tag of its image; undefined where that is none. */
export const veleroVersion = (server: KubeObject | undefined): number[] | undefined => {
  const image = containerOf(server)?.image;
  return image === undefined ? undefined : versionOf(imageOf(image).tag);
};
