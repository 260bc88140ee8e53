import json
import os

import boto3

ssm = boto3.client("ssm")


def lambda_handler(event, context):
    bucket = event["Records"][0]["s3"]["bucket"]["name"]
    parameter = ssm.get_parameter(Name=f"/flyway/s3-mapping/{bucket}")["Parameter"]
    mapping = json.loads(parameter["Value"])
    flyway = f"/opt/flyway-{mapping['flywayVersion']}"
    ssm.send_command(
        InstanceIds=[os.environ["INSTANCE_ID"]],
        DocumentName="AWS-RunShellScript",
        MaxConcurrency="1",
        Parameters={
            "executionTimeout": ["36000"],
            "commands": [
                f"aws s3 sync s3://{bucket} {flyway}/sql/{bucket}",
                f"flyway -configFiles={flyway}/conf/{mapping['flywayConf']} -schemas={mapping['schema']}"
                f" -locations=filesystem:{flyway}/sql/{bucket} migrate",
            ],
        },
        CloudWatchOutputConfig={
            "CloudWatchLogGroupName": os.environ["CLOUDWATCH_LOG_GROUP_NAME"],
            "CloudWatchOutputEnabled": True,
        },
    )
