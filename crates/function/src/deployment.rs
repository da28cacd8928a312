//! A number for the place where the function is deployed. Functions of one name in several accounts or regions are several
//! proxies, and one may be the back end of another; only the ARN of an invocation tells them apart.

/// A hash (FNV-1a) of partition, region and account in the ARN of a function; `None` for any other text. Name and
/// qualifier are left out, so all versions and aliases of a function have the same.
pub(crate) fn deployment(function_arn: &[u8]) -> Option<u32> {
    // arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME:QUALIFIER
    let (mut hash, mut colons): (u32, u8) = (0x811c_9dc5, 0);
    for byte in function_arn.strip_prefix(b"arn:")? {
        if *byte == b':' {
            colons += 1;
            if colons == 4 {
                return Some(hash);
            }
        }
        hash = (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_and_region_count_and_nothing_else() {
        let own = deployment(b"arn:aws:lambda:eu-central-1:111122223333:function:shop");
        assert!(own.is_some());
        for same in ["shop:live", "shop:7", "other"] {
            let arn = format!("arn:aws:lambda:eu-central-1:111122223333:function:{same}");
            assert_eq!(deployment(arn.as_bytes()), own, "{same}");
        }
        for other in ["eu-central-1:111122223334", "eu-west-1:111122223333"] {
            let arn = format!("arn:aws:lambda:{other}:function:shop");
            assert_ne!(deployment(arn.as_bytes()), own, "{other}");
        }
        for none in ["", "shop", "arn:aws:lambda:eu-central-1:111122223333", "a:b:c:d:e:f", ":::::::"] {
            assert_eq!(deployment(none.as_bytes()), None, "{none}");
        }
    }
}
