import type { Json } from '../../types.js';
import { refuse } from '../errors.js';
import type { Action, Context } from '../product.js';
import { isSold, zonesOf } from '../regions.js';
import { CATEGORIES, type Category } from './categories.js';

/** Of every instance. */
export const INSTANCE_TYPE = 'ecs.g7.xlarge';

const SYSTEM_DISK: Category = { minGiB: 20, maxGiB: 2048 };

type Range = [name: string, sizes: Category | undefined];

/** What a zone could sell of a kind, with its sizes where it has any. */
const KINDS: Readonly<Record<string, readonly Range[]>> = {
  Zone: [],
  IoOptimized: [['optimized', undefined]],
  Network: [['vpc', undefined]],
  InstanceType: [[INSTANCE_TYPE, undefined]],
  DataDisk: Object.entries(CATEGORIES),
  SystemDisk: Object.keys(CATEGORIES)
    .filter((it) => !it.startsWith('elastic_ephemeral'))
    .map((it): Range => [it, SYSTEM_DISK]),
};

const status = (sold: boolean): Json => ({
  Status: sold ? 'Available' : 'SoldOut',
  StatusCategory: sold ? 'WithStock' : 'WithoutStock',
});

const supported = (zone: string, asked: string | undefined, kind: string, { state }: Context): Json[] =>
  KINDS[kind]!.filter(([name]) => asked === undefined || name === asked).map(([name, sizes]) => ({
    Value: name,
    ...status(isSold(zone, name, state)),
    ...(sizes ? { Min: sizes.minGiB, Max: sizes.maxGiB, Unit: 'GiB' } : {}),
  }));

export const availableActions: Record<string, Action> = {
  /** What is asked for as SystemDisk depends on an instance type, which must then be named; every type here takes every category. */
  DescribeAvailableResource: {
    requires: ['RegionId', 'DestinationResource'],
    run(parameters, context) {
      const region = parameters.required('RegionId');
      const kind = parameters.oneOf('DestinationResource', Object.keys(KINDS))!;
      parameters.oneOf('ResourceType', ['instance', 'disk', 'reservedinstance', 'ddh']);
      parameters.oneOf('InstanceChargeType', ['PostPaid', 'PrePaid']);
      if (kind === 'SystemDisk' && parameters.text('InstanceType') === undefined)
        refuse(400, 'MissingParameter', 'The input parameter "InstanceType" is mandatory.');
      const asked = parameters.text('ZoneId');
      const all = zonesOf(context.state, region);
      if (asked !== undefined && !all.includes(asked))
        refuse(404, 'InvalidZoneId.NotFound', 'The specified ZoneId does not exist.');
      const category = parameters.text(`${kind}Category`) ?? parameters.text(kind);
      return {
        AvailableZones: {
          AvailableZone: all
            .filter((it) => (asked ?? it) === it)
            .map((zone) => ({
              RegionId: region,
              ZoneId: zone,
              ...status(isSold(zone, '*', context.state)),
              AvailableResources: {
                AvailableResource:
                  kind === 'Zone'
                    ? []
                    : [
                        {
                          Type: kind,
                          SupportedResources: { SupportedResource: supported(zone, category, kind, context) },
                        },
                      ],
              },
            })),
        },
      };
    },
  },
};
