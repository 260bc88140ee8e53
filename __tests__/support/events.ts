import { gzipSync } from "node:zlib";

// Events as AWS's documents show them, and how the tests make theirs of them.

/** https://docs.aws.amazon.com/lambda/latest/dg/with-s3.html */
const UPLOAD = {
  eventVersion: "2.1",
  eventSource: "aws:s3",
  awsRegion: "us-east-2",
  eventTime: "2019-09-03T19:37:27.192Z",
  eventName: "ObjectCreated:Put",
  userIdentity: { principalId: "AWS:AIDAINPONIXQXHT3IKHL2" },
  requestParameters: { sourceIPAddress: "205.255.255.255" },
  responseElements: {
    "x-amz-request-id": "D82B88E5F771F645",
    "x-amz-id-2": "vlR7PnpV2Ce81l0PRw6jlUpck7Jo5ZsQjryTjKlc5aLWGVHPZLj5NeC6qMa0emYBDXOo6QBU0Wo=",
  },
  s3: {
    s3SchemaVersion: "1.0",
    configurationId: "828aa6fc-f7b5-4305-8584-487c791949c1",
    bucket: {
      name: "DOC-EXAMPLE-BUCKET",
      ownerIdentity: { principalId: "A3I5XTEXAMAI3E" },
      arn: "arn:aws:s3:::lambda-artifacts-deafc19498e3f2df",
    },
    object: {
      key: "b21b84d653bb07b05b1e6b33684dc11b",
      size: 1305107,
      eTag: "b21b84d653bb07b05b1e6b33684dc11b",
      sequencer: "0C0F6F405D6ED209E1",
    },
  },
};

/** A record of S3's: an upload, unless another event is named. The key is as S3 encodes it. */
export function uploadRecord(bucket: string, key: string, eventName = UPLOAD.eventName): typeof UPLOAD {
  const { s3 } = UPLOAD;
  return {
    ...UPLOAD,
    eventName,
    s3: { ...s3, bucket: { ...s3.bucket, name: bucket }, object: { ...s3.object, key } },
  };
}

/** What S3 sends once, when a notification is set: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html */
export const TEST_EVENT = {
  Service: "Amazon S3",
  Event: "s3:TestEvent",
  Time: "2014-10-13T15:57:02.089Z",
  Bucket: "bucketname",
  RequestId: "5582815E1AEA5ADF",
  HostId: "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR+YstdA6Knx4Ip8EXAMPLE",
};

/** What became of a command: https://docs.aws.amazon.com/systems-manager/latest/userguide/monitoring-systems-manager-event-examples.html */
export const STATUS_CHANGE_EVENT = {
  version: "0",
  id: "4780e1b8-f56b-4de5-95f2-95db273d1602",
  "detail-type": "EC2 Command Invocation Status-change Notification",
  source: "aws.ssm",
  account: "123456789012",
  time: "2016-07-10T21:51:32Z",
  region: "us-east-1",
  resources: ["arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"],
  detail: {
    "command-id": "e8d3c0e4-71f7-4491-898f-c9b35bee5f3b",
    "document-name": "AWS-RunPowerShellScript",
    "instance-id": "i-9bb89e2b",
    "requested-date-time": "2016-07-10T21:51:30.049Z",
    status: "Success",
  },
};

/** The same of another command, by members of `detail`. */
export function statusChangeEvent(detail: Partial<typeof STATUS_CHANGE_EVENT.detail>): object {
  return { ...STATUS_CHANGE_EVENT, detail: { ...STATUS_CHANGE_EVENT.detail, ...detail } };
}

/** What CloudWatch Logs hands on, before it is packed: https://docs.aws.amazon.com/lambda/latest/dg/services-cloudwatchlogs.html */
const LOG_DATA = {
  messageType: "DATA_MESSAGE",
  owner: "123456789012",
  logGroup: "/aws/lambda/echo-nodejs",
  logStream: "2019/03/13/[$LATEST]94fa867e5374431291a7fc14e2f56ae7",
  subscriptionFilters: ["LambdaStream_cloudwatchlogs-node"],
  logEvents: [
    {
      id: "34622316099697884706540976068822859012661220141643892546",
      timestamp: 1552518348220,
      message:
        "REPORT RequestId: 6234bffe-149a-b642-81ff-2e8e376d8aff\tDuration: 46.84 ms\tBilled Duration: 47 ms \tMemory Size: 192 MB\tMax Memory Used: 72 MB\t\n",
    },
  ],
};

/**
 * An event of CloudWatch Logs' with these messages, a millisecond after each other; without any, the document's.
 *
 * @param messageType CONTROL_MESSAGE is what it sends to see whether it is heard
 */
export function logEvent(messages?: readonly string[], messageType = LOG_DATA.messageType) {
  const [first] = LOG_DATA.logEvents as [(typeof LOG_DATA.logEvents)[0]];
  const logEvents = messages?.map((message, i) => ({
    id: `${first.id}${i}`,
    timestamp: first.timestamp + i,
    message,
  }));
  const data = { ...LOG_DATA, messageType, logEvents: logEvents ?? LOG_DATA.logEvents };
  return { awslogs: { data: gzipSync(JSON.stringify(data)).toString("base64") } };
}

/** When the first message of such an event was logged, in milliseconds. */
export const LOGGED_AT = 1552518348220;
