# Homebrew formula. `release/assemble.sh` fills in the version, the repository and the checksums.
class Crossfade < Formula
  desc "Serverless reverse proxy for application migrations on AWS"
  homepage "https://github.com/@REPOSITORY@"
  version "@VERSION@"
  license any_of: ["MIT", "Apache-2.0"]

  on_macos do
    on_arm do
      url "https://github.com/@REPOSITORY@/releases/download/v@VERSION@/crossfade-aarch64-apple-darwin.tar.gz"
      sha256 "@SHA256:crossfade-aarch64-apple-darwin.tar.gz@"
    end
    on_intel do
      url "https://github.com/@REPOSITORY@/releases/download/v@VERSION@/crossfade-x86_64-apple-darwin.tar.gz"
      sha256 "@SHA256:crossfade-x86_64-apple-darwin.tar.gz@"
    end
  end

  on_linux do
    on_arm do
      url "https://github.com/@REPOSITORY@/releases/download/v@VERSION@/crossfade-aarch64-unknown-linux-gnu.tar.gz"
      sha256 "@SHA256:crossfade-aarch64-unknown-linux-gnu.tar.gz@"
    end
    on_intel do
      url "https://github.com/@REPOSITORY@/releases/download/v@VERSION@/crossfade-x86_64-unknown-linux-gnu.tar.gz"
      sha256 "@SHA256:crossfade-x86_64-unknown-linux-gnu.tar.gz@"
    end
  end

  def install
    # The command finds the function's programs beside itself.
    libexec.install "crossfade", "bootstrap-x86_64", "bootstrap-arm64"
    bin.install_symlink libexec/"crossfade"
    generate_completions_from_executable(libexec/"crossfade", "completions")
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/crossfade --version")
    (testpath/"crossfade.yaml").write <<~YAML
      version: 1
      backends: { legacy: https://legacy.example.com }
      default: { forward: legacy }
    YAML
    system bin/"crossfade", "package", "--config", "crossfade.yaml"
    assert_path_exists testpath/"bootstrap.zip"
  end
end
