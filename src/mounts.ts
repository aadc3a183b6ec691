/** What a pod's spec says of its claims, and whether it may write through them. */

export interface PodVolumes {
  volumes?: { name?: string; persistentVolumeClaim?: { claimName?: string; readOnly?: boolean } }[];
  containers?: Container[];
  initContainers?: Container[];
}

interface Container {
  volumeMounts?: { name?: string; readOnly?: boolean }[];
  volumeDevices?: { name?: string }[];
}

/** Paths of the fields that say so, below a pod's spec. */
export const MOUNT_FIELDS: readonly string[] = [
  'spec.volumes.name',
  'spec.volumes.persistentVolumeClaim',
  ...['containers', 'initContainers'].flatMap((it) => [
    `spec.${it}.volumeMounts.name`,
    `spec.${it}.volumeMounts.readOnly`,
    `spec.${it}.volumeDevices.name`,
  ]),
];

/** Whether a pod of this spec has the claim, also for reading alone. */
export const mounts = ({ volumes = [] }: PodVolumes, claim: string): boolean =>
  volumes.some((it) => it.persistentVolumeClaim?.claimName === claim);

/** Whether one of its containers may write to the claim: neither the volume nor the mount says `readOnly`. */
export const writesTo = (spec: PodVolumes, claim: string): boolean =>
  (spec.volumes ?? []).some(
    ({ name = '', persistentVolumeClaim: it }) =>
      it?.claimName === claim && it.readOnly !== true && isWritten(spec, name),
  );

/** Whether a container may write to the volume of this name; the claims of a StatefulSet's templates are volumes by the templates' names. */
export const isWritten = ({ containers = [], initContainers = [] }: PodVolumes, volume: string): boolean =>
  [...containers, ...initContainers].some(
    (it) =>
      it.volumeMounts?.some((one) => one.name === volume && one.readOnly !== true) ||
      it.volumeDevices?.some((one) => one.name === volume),
  );
