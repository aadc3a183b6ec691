import { refuse } from '../errors.js';

export interface Category {
  minGiB: number;
  maxGiB: number;
  /** spans the zones of its region */
  regional?: true;
}

const LEVELS: Readonly<Record<string, Category>> = {
  PL0: { minGiB: 1, maxGiB: 65_536 },
  PL1: { minGiB: 20, maxGiB: 65_536 },
  PL2: { minGiB: 461, maxGiB: 65_536 },
  PL3: { minGiB: 1261, maxGiB: 65_536 },
};

/**
 * What is sold as a data disk, with its sizes; cloud_essd goes by performance level. The API's own default, `cloud`, is sold nowhere.
 *
 * @source Ecs 2014-05-26, CreateDisk: Size, DiskCategory, PerformanceLevel
 */
export const CATEGORIES: Readonly<Record<string, Category>> = {
  cloud_efficiency: { minGiB: 20, maxGiB: 32_768 },
  cloud_ssd: { minGiB: 20, maxGiB: 32_768 },
  cloud_essd: { minGiB: 1, maxGiB: 65_536 },
  cloud_auto: { minGiB: 1, maxGiB: 65_536 },
  cloud_essd_entry: { minGiB: 10, maxGiB: 32_768 },
  cloud_regional_disk_auto: { minGiB: 10, maxGiB: 65_536, regional: true },
  elastic_ephemeral_disk_standard: { minGiB: 64, maxGiB: 8192 },
  elastic_ephemeral_disk_premium: { minGiB: 64, maxGiB: 8192 },
};

export const DEFAULT_LEVEL = 'PL1';

/** Snapshots of these are of use before they are accomplished. */
export const isInstant = (name: string): boolean => /^cloud_(essd|auto|regional_disk)/.test(name);

export function categoryOf(name: string): Category {
  return (
    CATEGORIES[name] ??
    refuse(400, 'InvalidDataDiskCategory.NotSupported', 'The specified data disk category is not supported.')
  );
}

/** @param level  only for cloud_essd */
export function checkSize(name: string, level: string | undefined, sizeGiB: number): void {
  const { minGiB, maxGiB } = level === undefined ? categoryOf(name) : LEVELS[level]!;
  if (sizeGiB < minGiB || sizeGiB > maxGiB) {
    refuse(
      400,
      'InvalidDiskSize.NotSupported',
      `The size of ${level ?? name} must be from ${minGiB} to ${maxGiB} GiB.`,
    );
  }
}

export function levelOf(name: string, asked: string | undefined): string | undefined {
  if (name !== 'cloud_essd') return undefined;
  const level = asked ?? DEFAULT_LEVEL;
  return level in LEVELS
    ? level
    : refuse(400, 'InvalidPerformanceLevel.Malformed', 'The specified PerformanceLevel is not valid.');
}
