//! Partitions of AWS: which one a region lies in is the beginning of every ARN there.

/// A partition of AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Name in ARNs, e.g. `aws-cn`.
    pub name: &'static str,
    /// Ending of the names of its endpoints, e.g. `amazonaws.com.cn`.
    pub dns_suffix: &'static str,
    /// Beginning of its regions' names, e.g. `cn-`.
    prefix: &'static str,
}

/// Every partition but AWS's first, whose regions begin with the names of continents.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>; `tests/words.rs` compares with botocore's list.
const OTHERS: [Partition; 7] = [
    Partition { name: "aws-cn", dns_suffix: "amazonaws.com.cn", prefix: "cn-" },
    Partition { name: "aws-us-gov", dns_suffix: "amazonaws.com", prefix: "us-gov-" },
    Partition { name: "aws-iso", dns_suffix: "c2s.ic.gov", prefix: "us-iso-" },
    Partition { name: "aws-iso-b", dns_suffix: "sc2s.sgov.gov", prefix: "us-isob-" },
    Partition { name: "aws-iso-e", dns_suffix: "cloud.adc-e.uk", prefix: "eu-isoe-" },
    Partition { name: "aws-iso-f", dns_suffix: "csp.hci.ic.gov", prefix: "us-isof-" },
    Partition { name: "aws-eusc", dns_suffix: "amazonaws.eu", prefix: "eusc-" },
];

const FIRST: Partition = Partition { name: "aws", dns_suffix: "amazonaws.com", prefix: "" };

/// Says which partition a region lies in.
pub fn partition_of(region: &str) -> &'static Partition {
    OTHERS.iter().find(|one| region.starts_with(one.prefix)).unwrap_or(&FIRST)
}
