import { setTimeout as pause } from 'node:timers/promises';
import type { ClusterApi, TwinObject } from '../types.js';

/** Kinds of velero.io as Velero 1.18 installs them; none has a status subresource. @source vmware-tanzu/velero:config/crd */
const KINDS: {
  kind: string;
  plural: string;
  version: 'v1' | 'v2alpha1';
  short?: string[];
  columns?: [name: string, path: string][];
}[] = [
  {
    kind: 'Backup',
    plural: 'backups',
    version: 'v1',
    columns: [
      ['Status', '.status.phase'],
      ['Location', '.spec.storageLocation'],
    ],
  },
  { kind: 'BackupRepository', plural: 'backuprepositories', version: 'v1' },
  {
    kind: 'BackupStorageLocation',
    plural: 'backupstoragelocations',
    version: 'v1',
    short: ['bsl'],
    columns: [
      ['Phase', '.status.phase'],
      ['Default', '.spec.default'],
    ],
  },
  {
    kind: 'DeleteBackupRequest',
    plural: 'deletebackuprequests',
    version: 'v1',
    columns: [
      ['BackupName', '.spec.backupName'],
      ['Status', '.status.phase'],
    ],
  },
  { kind: 'DownloadRequest', plural: 'downloadrequests', version: 'v1' },
  { kind: 'PodVolumeBackup', plural: 'podvolumebackups', version: 'v1' },
  { kind: 'PodVolumeRestore', plural: 'podvolumerestores', version: 'v1' },
  {
    kind: 'Restore',
    plural: 'restores',
    version: 'v1',
    columns: [
      ['Backup', '.spec.backupName'],
      ['Status', '.status.phase'],
    ],
  },
  { kind: 'Schedule', plural: 'schedules', version: 'v1' },
  { kind: 'ServerStatusRequest', plural: 'serverstatusrequests', version: 'v1', short: ['ssr'] },
  { kind: 'VolumeSnapshotLocation', plural: 'volumesnapshotlocations', version: 'v1', short: ['vsl'] },
  { kind: 'DataDownload', plural: 'datadownloads', version: 'v2alpha1' },
  { kind: 'DataUpload', plural: 'datauploads', version: 'v2alpha1' },
];

const definition = ({ kind, plural, version, short, columns = [] }: (typeof KINDS)[number]): TwinObject => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${plural}.velero.io`, labels: { component: 'velero' } },
  spec: {
    group: 'velero.io',
    scope: 'Namespaced',
    names: {
      kind,
      listKind: `${kind}List`,
      plural,
      singular: kind.toLowerCase(),
      ...(short ? { shortNames: short } : {}),
    },
    versions: [
      {
        name: version,
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
              status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
            },
          },
        },
        ...(columns.length > 0
          ? { additionalPrinterColumns: columns.map(([name, jsonPath]) => ({ name, type: 'string', jsonPath })) }
          : {}),
      },
    ],
  },
});

/** The definitions, for a server that is seeded with them. */
export const veleroCrds = (): TwinObject[] => KINDS.map(definition);

/** Installs what is missing on a running server and waits, in real time, until it serves that. */
export async function installVeleroCrds(api: ClusterApi): Promise<void> {
  for (const wanted of veleroCrds()) {
    if (!(await api.get('apiextensions.k8s.io/v1/customresourcedefinitions', undefined, wanted.metadata.name)))
      await api.create('apiextensions.k8s.io/v1/customresourcedefinitions', wanted);
  }
  const isServed = (): boolean => KINDS.every((it) => api.serves(`velero.io/${it.version}/${it.plural}`));
  for (let tries = 0; tries < 100; tries++) {
    await api.resources?.();
    if (isServed()) return;
    await pause(100);
  }
  throw new Error('the kinds of velero.io are installed, but not served');
}
