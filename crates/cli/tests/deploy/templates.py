"""Prints the templates of the folder `deploy` as one JSON document: as they are, that of SAM as SAM's translator deploys it, and the
resources in the files of the Serverless Framework. Short forms of functions become long ones."""

import copy
import json
import sys
from pathlib import Path

import yaml
from cfnlint.decode import decode
from samtranslator.translator.transform import transform


class NoManagedPolicies:
    def load(self):
        return {}


def template(file):
    found, matches = decode(str(file))
    assert not matches, matches
    return json.loads(json.dumps(found))


def resources(file):
    found = yaml.safe_load(file.read_text())
    return found.get("resources", found)["Resources"]


deploy = Path(sys.argv[1])
sam = template(deploy / "sam/template.yml")
uploaded = copy.deepcopy(sam)
# `sam deploy` uploads the file first.
uploaded["Resources"]["Proxy"]["Properties"]["CodeUri"] = {"Bucket": "code", "Key": "bootstrap.zip"}
serverless = ["live/alarm.yml", "live/people.yml", "live/s3.yml", "live/schedule.yml", "monitoring.yml", "spill.yml"]
print(
    json.dumps(
        {
            "cloudformation": template(deploy / "cloudformation/crossfade.yml"),
            "sam": sam,
            "translated": transform(uploaded, {}, NoManagedPolicies()),
            "serverless": {file: resources(deploy / "serverless" / file) for file in serverless},
        }
    )
)
