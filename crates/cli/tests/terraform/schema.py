"""Writes schema.json, the schema of AWS resources for provider.py, from the npm package @cdktf/provider-aws (MPL-2.0).

The package is generated from the schema of the real provider, and no registry that this project uses has that one.

    npm pack @cdktf/provider-aws@21.22.1 && tar xzf cdktf-provider-aws-21.22.1.tgz
    python3 schema.py package/lib > schema.json
"""

import json
import pathlib
import re
import sys

RESOURCES = """
appconfig-application appconfig-configuration-profile appconfig-environment cloudwatch-dashboard cloudwatch-event-rule
cloudwatch-event-target cloudwatch-log-group cloudwatch-log-metric-filter cloudwatch-metric-alarm cloudformation-stack iam-policy iam-role
iam-role-policy iam-role-policy-attachment lambda-function lambda-permission lb-listener-rule lb-target-group lb-target-group-attachment s3-bucket
s3-bucket-cors-configuration s3-bucket-lifecycle-configuration s3-bucket-ownership-controls s3-bucket-policy
s3-bucket-public-access-block s3-bucket-server-side-encryption-configuration s3-bucket-versioning scheduler-schedule
""".split()

# Optional arguments that the provider fills in. The package does not have this.
FILLED_IN = {
    "*": ["id", "region", "tags_all"],
    "aws_cloudwatch_log_group": ["name", "log_group_class"],
    "aws_cloudwatch_event_rule": ["name", "event_bus_name"],
    "aws_iam_policy": ["name", "name_prefix"],
    "aws_iam_role": ["name", "name_prefix"],
    "aws_iam_role_policy": ["name", "name_prefix"],
    "aws_lambda_function": ["architectures", "source_code_hash"],
    "aws_lambda_permission": ["statement_id"],
    "aws_lb_target_group": ["name", "name_prefix"],
    "aws_s3_bucket": ["bucket", "bucket_prefix", "acl", "policy", "acceleration_status", "request_payer", "object_lock_enabled"],
    "aws_scheduler_schedule": ["name", "name_prefix", "group_name"],
}

TYPES = {"string": "string", "number": "number", "boolean": "bool"}
GETTERS = {
    "getStringAttribute": "string",
    "getNumberAttribute": "number",
    "getBooleanAttribute": "bool",
    "getListAttribute": ["list", "string"],
    "getStringMapAttribute": ["map", "string"],
}
MEMBER = re.compile(
    r'(\w+): \{\s+value: (.*),\s+isBlock: (true|false),\s+type: "(\w+)",\s+storageClassType: "(\w+)",\s+\}'
)


def type_of(kind, storage):
    if kind == "simple":
        return TYPES[storage]
    return [kind, TYPES[re.sub(r"(List|Map)$", "", storage)]]


def body(text, beginning):
    start = text.index(beginning)
    return text[start : text.index("return Object.fromEntries", start)]


def block(script, interfaces, name, beginning):
    found = {"attributes": {}, "blocks": {}}
    for member, value, is_block, kind, storage in MEMBER.findall(body(script, beginning)):
        required = interfaces[name][member]
        if is_block == "false":
            found["attributes"][member] = {"type": type_of(kind, storage), "required": required}
            continue
        function = re.search(r"(\w+)ToHclTerraform", value).group(1)
        inner = block(script, interfaces, function[0].upper() + function[1:], f"function {function}ToHclTerraform(")
        many = "listMapperHcl" in value
        nesting = "single" if member == "timeouts" else "set" if kind == "set" else "list"
        found["blocks"][member] = {
            "nesting": nesting,
            "min": int(required and nesting != "single"),
            "max": 0 if many or nesting == "single" else 1,
            "block": inner,
        }
    return found


def resource(folder):
    script = (folder / "index.js").read_text()
    interfaces = {}
    for name, members in re.findall(r"export interface (\w+)[^{]*\{(.*?)\n\}", (folder / "index.d.ts").read_text(), re.S):
        pairs = re.findall(r"#(\w+) \w+#\w+\}.*?readonly \w+(\??):", members, re.S)
        interfaces[name] = {member: optional == "" for member, optional in pairs}
    kind = re.search(r'tfResourceType = "(\w+)"', script).group(1)
    config = next(name for name in interfaces if name.endswith("Config") and f"class {name[:-6]} extends cdktf.TerraformResource" in script)
    found = block(script, interfaces, config, "synthesizeHclAttributes() {\n        const attrs")
    own = script[script.rindex("extends cdktf.TerraformResource") :]
    for member, getter in re.findall(r"// (\w+) - computed: true, optional: false.*?\n.*?\n\s+return this\.(\w+)\(", own):
        if getter in GETTERS:
            found["attributes"][member] = {"type": GETTERS[getter], "required": False, "computed": True}
    for member in FILLED_IN["*"] + FILLED_IN.get(kind, []):
        if member in found["attributes"] and not found["attributes"][member]["required"]:
            found["attributes"][member].update(optional=True, computed=True)
    return kind, found


def main():
    folder = pathlib.Path(sys.argv[1])
    resources = dict(resource(folder / name) for name in RESOURCES)
    lines = [f"{json.dumps(kind)}: {json.dumps(found, separators=(',', ':'))}" for kind, found in sorted(resources.items())]
    print("{\n" + ",\n".join(lines) + "\n}")


main()
