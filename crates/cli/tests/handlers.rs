//! `crossfade dev` with handlers of Node.js and Python functions: the command of each, from the files of a project, and handlers
//! that run on AWS's runtime clients. `golden/handlers.txt` has the commands of all cases; `BLESS=1` writes it anew.
//!
//! In the cases, `node`, `python3` and `esbuild` are scripts that tell a version, since nothing is invoked.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crossfade_testkit::client;
use crossfade_testkit::process::{Process, lines};
use crossfade_testkit::wait::PATIENCE;
use tempfile::TempDir;

use crate::foreign::node_client;
use crate::support::{Dev, command, word_after};

/// A project, and the output of `crossfade dev` for it.
struct Case {
    name: &'static str,
    arguments: &'static str,
    /// Contents by paths, which begin with `CACHE/` outside the project.
    files: &'static [(&'static str, &'static str)],
}

const NODE: (&str, &str) = ("bin/node", "#!/bin/sh\necho 22.20.0\n");
const PYTHON: (&str, &str) = ("bin/python3", "#!/bin/sh\necho 3.13 0 0 1\n");
const RIC: (&str, &str) = ("node_modules/aws-lambda-ric/package.json", r#"{"bin":{"aws-lambda-ric":"./index.mjs"}}"#);
const BUILT: (&str, &str) = ("node_modules/aws-lambda-ric/rapid-client.node", "");
/// A function of each language.
const TWO: (&str, &str) = (
    "serverless.yml",
    "service: shop\nprovider: { name: aws, runtime: nodejs22.x }\nfunctions:\n  \
     web: { handler: src/web.main, url: true }\n  \
     api: { handler: src/api.main, runtime: python3.13, url: true }\n",
);
const ONE: (&str, &str) = (
    "serverless.yml",
    "service: shop\nprovider: { name: aws, runtime: nodejs22.x }\nfunctions:\n  web: { handler: src/web.main, url: true }\n",
);
const WEB: (&str, &str) = ("src/web.js", "");
const API: (&str, &str) = ("src/api.py", "");

const CASES: &[Case] = &[
    Case {
        name: "the project has both clients",
        arguments: "--serverless serverless.yml",
        files: &[TWO, WEB, API, NODE, RIC, BUILT, (".venv/bin/python", "#!/bin/sh\necho 3.13 1 0 1\n")],
    },
    Case {
        name: "the clients are in the cache",
        arguments: "--serverless serverless.yml",
        files: &[
            TWO,
            WEB,
            API,
            NODE,
            PYTHON,
            ("CACHE/node/lib/node_modules/aws-lambda-ric/package.json", r#"{"bin":"bin/index.mjs"}"#),
            ("CACHE/node/lib/node_modules/aws-lambda-ric/dist/rapid-client.node", ""),
            ("CACHE/python3.13/awslambdaric/__init__.py", ""),
        ],
    },
    Case {
        name: "no client is there",
        arguments: "--serverless serverless.yml",
        files: &[TWO, WEB, API, NODE, PYTHON],
    },
    Case {
        name: "an environment of uv has no pip",
        arguments: "--serverless serverless.yml",
        files: &[TWO, WEB, API, NODE, RIC, BUILT, (".venv/bin/python", "#!/bin/sh\necho 3.13 0 0 0\n")],
    },
    Case {
        name: "npm did not build the native part",
        arguments: "--serverless serverless.yml",
        files: &[ONE, WEB, NODE, RIC],
    },
    Case { name: "no program is there", arguments: "--serverless serverless.yml", files: &[TWO, WEB, API] },
    Case {
        name: "programs of other versions, and no files",
        arguments: "--serverless serverless.yml",
        files: &[
            TWO,
            ("bin/node", "#!/bin/sh\necho 20.20.2\n"),
            ("bin/python3", "#!/bin/sh\necho 3.9 1 0 1\n"),
            RIC,
            BUILT,
        ],
    },
    Case {
        name: "TypeScript with esbuild",
        arguments: "--serverless serverless.yml",
        files: &[ONE, ("src/web.ts", ""), NODE, RIC, BUILT, ("node_modules/.bin/esbuild", "#!/bin/sh\n")],
    },
    Case {
        name: "TypeScript that esbuild rejects",
        arguments: "--serverless serverless.yml",
        files: &[
            ONE,
            ("src/web.ts", ""),
            NODE,
            RIC,
            BUILT,
            ("node_modules/.bin/esbuild", "#!/bin/sh\necho 'web.ts:1:0: unexpected end' >&2; exit 1\n"),
        ],
    },
    Case {
        name: "TypeScript without esbuild",
        arguments: "--serverless serverless.yml",
        files: &[ONE, ("src/web.ts", ""), NODE, RIC, BUILT],
    },
    Case {
        name: "the option wins",
        arguments: "--serverless serverless.yml --function 'api=node other.js'",
        files: &[TWO, WEB, NODE, RIC, BUILT],
    },
    Case {
        name: "a debugger for all",
        arguments: "--serverless serverless.yml --debug",
        files: &[TWO, WEB, API, NODE, RIC, BUILT, ("bin/python3", "#!/bin/sh\necho 3.13 1 1 1\n")],
    },
    Case {
        name: "a debugger for one",
        arguments: "--serverless serverless.yml --debug=web",
        files: &[TWO, WEB, API, NODE, RIC, BUILT, ("bin/python3", "#!/bin/sh\necho 3.13 1 0 1\n")],
    },
    Case {
        name: "no debugger is there",
        arguments: "--serverless serverless.yml --debug",
        files: &[TWO, WEB, API, NODE, RIC, BUILT, ("bin/python3", "#!/bin/sh\necho 3.13 1 0 1\n")],
    },
    Case {
        name: "a debugger for nobody",
        arguments: "--serverless serverless.yml --debug=nope",
        files: &[ONE, WEB, NODE, RIC, BUILT],
    },
    Case {
        name: "the framework's default runtime is Node.js",
        arguments: "--serverless serverless.yml",
        files: &[
            (
                "serverless.yml",
                "service: shop\nprovider: { name: aws }\nfunctions: { web: { handler: src/web.main, url: true } }\n",
            ),
            ("src/web.mjs", ""),
            NODE,
            RIC,
            BUILT,
        ],
    },
    Case {
        name: "our own function in place of the only one",
        arguments: "--serverless serverless.yml --backend https://example.com",
        files: &[ONE, WEB],
    },
    Case {
        name: "other runtimes need a command",
        arguments: "--serverless serverless.yml",
        files: &[
            (
                "serverless.yml",
                "service: shop\nprovider: { name: aws, runtime: java21 }\nfunctions:\n  \
                 web: { handler: src/web.main, runtime: nodejs22.x, url: true }\n  \
                 job: { handler: com.example.Job, url: true }\n  \
                 proxy: { handler: bootstrap, runtime: provided.al2023, url: true }\n",
            ),
            WEB,
            NODE,
            RIC,
            BUILT,
        ],
    },
    Case {
        name: "SAM: Globals and CodeUri",
        arguments: "--template template.yaml",
        files: &[
            (
                "template.yaml",
                "Transform: AWS::Serverless-2016-10-31\nGlobals: { Function: { Runtime: python3.13 } }\nResources:\n  \
                 Web:\n    Type: AWS::Serverless::Function\n    \
                 Properties: { CodeUri: web/, Handler: app.main, FunctionUrlConfig: { AuthType: NONE } }\n  \
                 Pages:\n    Type: AWS::Serverless::Function\n    \
                 Properties: { CodeUri: pages/, Handler: index.main, Runtime: nodejs22.x, FunctionUrlConfig: { AuthType: NONE } }\n",
            ),
            ("web/app.py", ""),
            ("pages/index.cjs", ""),
            ("pages/node_modules/aws-lambda-ric/package.json", RIC.1),
            ("pages/node_modules/aws-lambda-ric/rapid-client.node", ""),
            NODE,
            ("bin/python3", "#!/bin/sh\necho 3.13 1 0 1\n"),
        ],
    },
    Case {
        name: "CloudFormation: an asset of the CDK, and a folder",
        arguments: "--template template.json",
        files: &[
            (
                "template.json",
                r#"{"Resources": {
                  "Web": {"Type": "AWS::Lambda::Function", "Metadata": {"aws:asset:path": "asset.1", "aws:asset:property": "Code"},
                    "Properties": {"Runtime": "nodejs22.x", "Handler": "index.main", "Code": {"S3Bucket": "b", "S3Key": "k"}}},
                  "Api": {"Type": "AWS::Lambda::Function",
                    "Properties": {"Runtime": "python3.13", "Handler": "app.main", "Code": "./api"}},
                  "WebUrl": {"Type": "AWS::Lambda::Url", "Properties": {"AuthType": "NONE", "TargetFunctionArn": {"Ref": "Web"}}},
                  "ApiUrl": {"Type": "AWS::Lambda::Url", "Properties": {"AuthType": "NONE", "TargetFunctionArn": {"Ref": "Api"}}}}}"#,
            ),
            ("asset.1/index.js", ""),
            ("api/app.py", ""),
            NODE,
            RIC,
            BUILT,
            ("bin/python3", "#!/bin/sh\necho 3.13 1 0 1\n"),
        ],
    },
];

pub(crate) fn each_handler_has_its_command() {
    let mut actual = String::new();
    for case in CASES {
        let _ = write!(actual, "## {}\n$ crossfade dev {}\n{}\n", case.name, case.arguments, told(case));
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/handlers.txt");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&golden, &actual).unwrap();
    }
    assert_eq!(actual, fs::read_to_string(&golden).unwrap_or_default());
}

/// Errors and warnings, or the rows of the functions.
fn told(case: &Case) -> String {
    let (project, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // The search upwards ends at the root of a repository.
    fs::create_dir(project.path().join(".git")).unwrap();
    for (name, text) in case.files {
        let file = match name.strip_prefix("CACHE/") {
            Some(name) => cache.path().join("crossfade").join(name),
            None => project.path().join(name),
        };
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let mut command = command(project.path());
    command.arg("--no-inspect").args(shell_words::split(case.arguments).unwrap());
    command.env("PATH", project.path().join("bin")).env("XDG_CACHE_HOME", cache.path()).env_remove("VIRTUAL_ENV");
    let mut dev = Process::start(&mut command).asked_to_end();
    let output = lines(dev.child.stderr.take().unwrap());
    let (mut text, mut is_banner) = (String::new(), false);
    while let Ok(line) = output.recv_timeout(PATIENCE) {
        is_banner |= line.starts_with("Everything below runs");
        if line.starts_with("Rules, by priority:") {
            break;
        }
        if !is_banner || line.starts_with("  function ") || line.starts_with("  debugger ") {
            let _ = writeln!(text, "{line}");
        }
    }
    let limits = [", 6 s per request", ", 3 s per request", ", no time limit", ", 30 s per request"];
    let shown =
        |line: &str| limits.iter().find_map(|limit| line.split_once(limit)).map_or(line, |(start, _)| start).to_owned();
    let text: String = text.lines().map(|line| shown(line) + "\n").collect();
    let folder = |folder: &TempDir| folder.path().to_string_lossy().into_owned();
    text.replace(&folder(&project), "PROJECT").replace(&folder(&cache), "CACHE")
}

fn write(folder: &TempDir, name: &str, text: &str) {
    let file = folder.path().join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

fn project(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, text)| write(&folder, name, text));
    folder
}

/// Modules and CommonJS, a folder, a nested export, variables, a stream, and a change.
pub(crate) fn node_handlers_run_and_reload() {
    let service = "service: shop\nprovider: { name: aws, runtime: nodejs22.x, environment: { SHOP: books } }\nfunctions:\n  \
                   web: { handler: src/web.api.main, memorySize: 512, httpApi: '*', url: true }\n  \
                   events: { handler: events.handler, url: { invokeMode: RESPONSE_STREAM } }\n";
    let web = "export const api = { main: async (event) => ({ statusCode: 200, body: JSON.stringify([\n  \
               'one', event.rawPath, process.env.SHOP, process.env._HANDLER, process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE]) }) };\n";
    let events = "exports.handler = awslambda.streamifyResponse(async (event, stream) => {\n  \
                  stream = awslambda.HttpResponseStream.from(stream, { statusCode: 201 });\n  \
                  stream.write('one ');\n  stream.end('two');\n});\n";
    let folder = project(&[("serverless.yml", service), ("src/web.mjs", web), ("events.js", events)]);
    symlink(node_client().unwrap().join("node_modules"), folder.path().join("node_modules")).unwrap();
    let dev = Dev::start_in(folder.path(), &["--serverless", "serverless.yml", "--no-inspect"]);
    let command = "shop-dev-web: node node_modules/aws-lambda-ric/index.mjs src/web.api.main, 6 s per request";
    assert!(dev.banner.contains(command), "{}", dev.banner);
    let ask = |target: &str| client::get(&dev.alb, target).text().to_owned();
    assert_eq!(ask("/a%20b"), r#"["one","/a%20b","books","src/web.api.main","512"]"#);
    write(&folder, "src/web.mjs", &web.replace("one", "two"));
    dev.told("src/web.mjs has changed: the next request uses it");
    assert_eq!(ask("/"), r#"["two","/","books","src/web.api.main","512"]"#);
    let streaming = dev.banner.lines().find(|line| line.contains("streams responses")).unwrap();
    let response = client::get(&word_after(streaming, "front end"), "/");
    assert_eq!((response.status, response.text()), (201, "one two"), "{}", response.head);
    assert_eq!(response.field("transfer-encoding"), Some("chunked"));
    assert!(dev.stop("-INT").success());
}

/// In a virtual environment, which then has no client but that of the cache.
pub(crate) fn the_command_of_the_message_gets_the_client_of_python() {
    let service = "service: shop\nprovider: { name: aws, runtime: python3.13 }\nfunctions:\n  \
                   web: { handler: src/web.main, url: true, environment: { PYTHONPATH: lib } }\n";
    let web = "import shelf\n\ndef main(event, context):\n    \
               return {'statusCode': 200, 'body': f\"{shelf.NAME} {event['rawPath']} {context.function_name}\"}\n";
    let folder = project(&[("serverless.yml", service), ("src/web.py", web), ("lib/shelf.py", "NAME = 'one'\n")]);
    let cache = folder.path().join("cache");
    let cached = ("XDG_CACHE_HOME", cache.to_str().unwrap());
    let made = Command::new("python3").args(["-m", "venv", ".venv"]).current_dir(folder.path()).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let arguments = ["--serverless", "serverless.yml", "--no-inspect"];
    let refused = command(folder.path()).args(arguments).envs([cached, ("VIRTUAL_ENV", "")]).output().unwrap();
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(
        told.contains("function `web`: needs AWS's runtime client for Python, `awslambdaric`\n  hint: run `"),
        "{told}"
    );
    let hint = told.rsplit("hint: run `").next().unwrap().split('`').next().unwrap();
    let got = Command::new("sh").args(["-c", hint]).output().unwrap();
    assert!(got.status.success(), "{hint}: {got:?}");
    let dev = Dev::start_with(folder.path(), &arguments, &[cached, ("VIRTUAL_ENV", "")]);
    assert!(dev.banner.contains("shop-dev-web: .venv/bin/python -m awslambdaric src/web.main, "), "{}", dev.banner);
    let ask = |target: &str| client::get(&dev.alb, target).text().to_owned();
    assert_eq!(ask("/a%20b"), "one /a%20b shop-dev-web");
    write(&folder, "lib/shelf.py", "NAME = 'another'\n");
    dev.told("lib/shelf.py has changed: the next request uses it");
    assert_eq!(ask("/"), "another / shop-dev-web");
    assert!(dev.stop("-INT").success());
}
