import { refuse } from './errors.js';
import { type CloudState, regionOfZone } from './state.js';

/** @source https://www.alibabacloud.com/help/en/cloud-migration-guide-for-beginners/latest/regions-and-zones */
const REGIONS: Readonly<Record<string, string>> = {
  'cn-qingdao': 'China (Qingdao)',
  'cn-beijing': 'China (Beijing)',
  'cn-zhangjiakou': 'China (Zhangjiakou)',
  'cn-huhehaote': 'China (Hohhot)',
  'cn-wulanchabu': 'China (Ulanqab)',
  'cn-hangzhou': 'China (Hangzhou)',
  'cn-shanghai': 'China (Shanghai)',
  'cn-shenzhen': 'China (Shenzhen)',
  'cn-heyuan': 'China (Heyuan)',
  'cn-guangzhou': 'China (Guangzhou)',
  'cn-chengdu': 'China (Chengdu)',
  'cn-hongkong': 'China (Hong Kong)',
  'ap-southeast-1': 'Singapore',
  'ap-southeast-3': 'Malaysia (Kuala Lumpur)',
  'ap-southeast-5': 'Indonesia (Jakarta)',
  'ap-southeast-6': 'Philippines (Manila)',
  'ap-southeast-7': 'Thailand (Bangkok)',
  'ap-northeast-1': 'Japan (Tokyo)',
  'ap-northeast-2': 'South Korea (Seoul)',
  'eu-central-1': 'Germany (Frankfurt)',
  'eu-west-1': 'UK (London)',
  'us-west-1': 'US (Silicon Valley)',
  'us-east-1': 'US (Virginia)',
  'me-east-1': 'UAE (Dubai)',
};

// Which zones a region really has differs; every region here has these beside the ones that the seed names.
const ZONES = ['b', 'g', 'h', 'i', 'j', 'k'];

export function regionList(state: CloudState): { id: string; name: string }[] {
  const all = { ...REGIONS };
  return [...new Set([...Object.keys(all), ...state.regions])].map((id) => ({ id, name: all[id] ?? id }));
}

export const isRegion = (state: CloudState, id: string): boolean => id in REGIONS || state.regions.has(id);

export function checkRegion(state: CloudState, id: string | undefined): void {
  if (id === undefined || isRegion(state, id)) return;
  refuse(404, 'InvalidRegionId.NotFound', `The specified RegionId ${id} does not exist.`);
}

export function zonesOf(state: CloudState, region: string): string[] {
  const seeded = [...state.zones].filter((it) => regionOfZone(it) === region);
  // Regions that end in a digit write their zones without a hyphen: ap-southeast-1a, but cn-hangzhou-h.
  const usual = ZONES.map((letter) => (/\d$/.test(region) ? `${region}${letter}` : `${region}-${letter}`));
  return [...new Set([...usual, ...seeded])].sort();
}

/** @param what  a disk category, or a level of one such as `cloud_essd.PL0`; `*` asks whether anything is sold at all */
export function isSold(zone: string, what: string, { notSold }: CloudState): boolean {
  const missing = notSold.get(zone);
  return !missing || !(missing.has('*') || missing.has(what));
}
