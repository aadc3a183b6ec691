/**
 * What ECS refuses for good, in words. Each is a CLOUD_REFUSED with the vendor's code in its text. The gateway's words for missing rights are
 * not among them, although many of these come with its status, 403.
 *
 * @source www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-createsnapshot, -copysnapshot, -createdisk
 */
export const ecsRefusals: readonly { codes: RegExp; told: { why: string; fix: string } }[] = [
  {
    codes: /^QuotaExceed\.(?:Snapshot|SnapshotQuota)$/,
    told: {
      why: 'One disk has at most 256 snapshots, and as many copies of them in another region.',
      fix: 'Delete old snapshots of that disk that nobody needs, then run again.',
    },
  },
  {
    codes: /^QuotaExceed\.(?:PostPaidDisk|DiskCapacity)$/,
    told: {
      why: 'The account has as many disks, or as many GiB of their category in that zone, as its quota allows.',
      fix: 'Ask for more in the Quota Center, or delete disks that nobody needs; then run again.',
    },
  },
  {
    codes: /^IncorrectDiskStatus\.Never(?:Attached|Used)$/,
    told: {
      why: 'There is no snapshot of a disk that was never attached: nobody has written to it yet.',
      fix: 'Start a pod with its claim once, or leave the claim out by a rule of `data.disks`; then run again.',
    },
  },
  {
    codes: /^(?:DiskCategory\.OperationNotSupported|InvalidSnapshotCategory\..*)$/,
    told: {
      why: 'Disks of that category have no snapshots that could be copied: they are local to their machine.',
      fix: 'Leave the claim out by a rule of `data.disks`, and bring its data by the application itself.',
    },
  },
  {
    codes: /^(?:Invalid(?:Data)?DiskCategory\..*|Zone\.NotOnSale|InvalidPerformanceLevel\..*)$/,
    told: {
      why: 'The zone does not sell that category or level, at least not now.',
      fix: 'Name another one in `data.disks`, or another zone; then make a new plan.',
    },
  },
  {
    codes: /^InvalidDiskSize\..*$/,
    told: {
      why: 'The category has no disks of that size.',
      fix: 'Name a size or another category in `data.disks`; then make a new plan.',
    },
  },
  {
    codes: /^InvalidParameter\.KMSKeyId\..*$/,
    told: {
      why: 'The key is not in that region, or is disabled: keys stay in their region.',
      fix: 'Name an enabled key of the target region as `data.kmsKey`; then make a new plan.',
    },
  },
  {
    codes: /^(?:InvalidRegionId\.NotSupportedEncryptedSnapshotCopy|OperationDenied\.NonCompliantDestinationRegion)$/,
    told: {
      why: 'The cloud does not let such a snapshot into that region.',
      fix: 'Bring the data of this disk by the application itself, or choose another region.',
    },
  },
  {
    codes: /^InvalidSnapshotId\.NotFound$/,
    told: {
      why: 'Something deleted the snapshot after our step made it.',
      fix: 'Roll back to before the step that took it, then run again.',
    },
  },
  {
    codes: /^(?:DiskInArrears|InvalidAccountStatus\..*)$/,
    told: {
      why: 'The account owes money, or its snapshot service is not activated.',
      fix: 'Settle that in the console, then run again.',
    },
  },
];
