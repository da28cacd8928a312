//! AWS's list prices, each with its source, as of [`DATE`]. `crossfade cost` calculates with them, and `check` tells the price of
//! metrics. To update them, read the page of each line and change the date.
//!
//! Owns no quantity and no formula besides the tiers of a price. All are on-demand prices in USD without tax, discounts, savings plans and free
//! tiers.

/// Date of the prices.
pub(crate) const DATE: &str = "November 2026";

/// Hours of a month, as AWS's pricing pages and its calculator count them.
pub(crate) const HOURS: f64 = 730.0;

/// The end of the last tier.
const MORE: f64 = f64::INFINITY;

/// A region whose prices are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Region {
    /// N. Virginia.
    UsEast1,
    /// Ireland.
    EuWest1,
    /// Frankfurt.
    EuCentral1,
}

/// Reliability of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Basis {
    /// AWS's page states it, in a table or in an example, as read in 2026.
    Published,
    /// Other pages of 2026 quote it from AWS's page.
    Quoted,
    /// Known, but not verified: check it against the price list.
    Unchecked,
}

/// A price, which may fall as the quantity of a month grows.
#[derive(Debug)]
pub(crate) struct Price {
    /// The unit that the price is for, such as `million requests`.
    pub(crate) unit: &'static str,
    /// The number of single things in that unit.
    pub(crate) size: f64,
    /// Reliability in us-east-1 and in the other regions.
    basis: [Basis; 2],
    /// Page with the price.
    pub(crate) source: &'static str,
    /// The end of each tier in units, and its price in the order of [`Region::ALL`].
    tiers: &'static [(f64, [f64; 3])],
}

const LAMBDA: &str = "https://aws.amazon.com/lambda/pricing/";
const ELB: &str = "https://aws.amazon.com/elasticloadbalancing/pricing/";
const API_GATEWAY: &str = "https://aws.amazon.com/api-gateway/pricing/";
const LATTICE: &str = "https://aws.amazon.com/vpc/lattice/pricing/";
const CLOUDWATCH: &str = "https://aws.amazon.com/cloudwatch/pricing/";
const S3: &str = "https://aws.amazon.com/s3/pricing/";
const APPCONFIG: &str = "https://aws.amazon.com/systems-manager/pricing/";
const VPC: &str = "https://aws.amazon.com/vpc/pricing/";
const PRIVATELINK: &str = "https://aws.amazon.com/privatelink/pricing/";
const EC2: &str = "https://aws.amazon.com/ec2/pricing/on-demand/";
const EBS: &str = "https://aws.amazon.com/ebs/pricing/";
const FARGATE: &str = "https://aws.amazon.com/fargate/pricing/";

/// A line for each price: name, unit, reliability in us-east-1 and elsewhere, source; then the end of each tier in units and the
/// prices in us-east-1, eu-west-1 and eu-central-1.
macro_rules! prices {
    ($($name:ident: $size:literal $unit:literal, $home:ident $elsewhere:ident, $source:ident, $($end:tt => $usd:expr),+;)+) => {
        $(pub(crate) static $name: Price = Price {
            unit: $unit,
            size: $size,
            basis: [Basis::$home, Basis::$elsewhere],
            source: $source,
            tiers: &[$(($end, $usd)),+],
        };)+

        #[cfg(test)]
        static ALL: &[(&str, &Price)] = &[$((stringify!($name), &$name)),+];
    };
}

prices! {
    LAMBDA_REQUESTS: 1e6 "million", Published Unchecked, LAMBDA, MORE => [0.20, 0.20, 0.20];
    LAMBDA_X86: 1.0 "GB-s", Quoted Unchecked, LAMBDA, 6e9 => [0.0000166667, 0.0000166667, 0.0000166667], 15e9 => [0.000015, 0.000015, 0.000015], MORE => [0.0000133334, 0.0000133334, 0.0000133334];
    LAMBDA_ARM: 1.0 "GB-s", Quoted Unchecked, LAMBDA, 7.5e9 => [0.0000133334, 0.0000133334, 0.0000133334], 18.75e9 => [0.0000120001, 0.0000120001, 0.0000120001], MORE => [0.0000106667, 0.0000106667, 0.0000106667];

    ALB_HOUR: 1.0 "hour", Published Unchecked, ELB, MORE => [0.0225, 0.0252, 0.027];
    ALB_LCU_HOUR: 1.0 "LCU-hour", Published Unchecked, ELB, MORE => [0.008, 0.008, 0.008];
    HTTP_API: 1e6 "million", Published Unchecked, API_GATEWAY, 300.0 => [1.00, 1.11, 1.20], MORE => [0.90, 1.00, 1.08];
    REST_API: 1e6 "million", Published Unchecked, API_GATEWAY, 333.0 => [3.50, 3.50, 3.70], 1_000.0 => [2.80, 2.80, 3.06], 20_000.0 => [2.38, 2.38, 2.60], MORE => [1.51, 1.51, 1.72];
    LATTICE_HOUR: 1.0 "hour", Published Unchecked, LATTICE, MORE => [0.025, 0.0275, 0.0297];
    LATTICE_DATA: 1.0 "GB", Published Unchecked, LATTICE, MORE => [0.025, 0.0275, 0.0297];
    LATTICE_REQUESTS: 1e6 "million", Published Unchecked, LATTICE, MORE => [0.10, 0.11, 0.12];

    LOG_INGESTION: 1.0 "GB", Quoted Unchecked, CLOUDWATCH, 10e3 => [0.50, 0.57, 0.63], 30e3 => [0.25, 0.285, 0.315], 50e3 => [0.10, 0.114, 0.126], MORE => [0.05, 0.057, 0.063];
    CUSTOM_METRIC: 1.0 "metric", Quoted Unchecked, CLOUDWATCH, 10e3 => [0.30, 0.30, 0.30], 250e3 => [0.10, 0.10, 0.10], 1e6 => [0.05, 0.05, 0.05], MORE => [0.02, 0.02, 0.02];
    ALARM_METRIC: 1.0 "metric", Unchecked Unchecked, CLOUDWATCH, MORE => [0.10, 0.10, 0.10];
    DASHBOARD: 1.0 "dashboard", Quoted Unchecked, CLOUDWATCH, MORE => [3.00, 3.00, 3.00];

    S3_GET: 1e6 "million", Unchecked Unchecked, S3, MORE => [0.40, 0.40, 0.43];
    S3_PUT: 1e6 "million", Unchecked Unchecked, S3, MORE => [5.00, 5.00, 5.40];
    S3_STORAGE: 1.0 "GB-month", Unchecked Unchecked, S3, MORE => [0.023, 0.023, 0.0245];
    APPCONFIG_POLLS: 1e6 "million", Quoted Quoted, APPCONFIG, MORE => [0.20, 0.20, 0.20];
    APPCONFIG_RECEIVED: 1.0 "configuration", Quoted Quoted, APPCONFIG, MORE => [0.0008, 0.0008, 0.0008];

    TRANSFER_OUT: 1.0 "GB", Quoted Unchecked, EC2, 10e3 => [0.09, 0.09, 0.09], 50e3 => [0.085, 0.085, 0.085], 150e3 => [0.07, 0.07, 0.07], MORE => [0.05, 0.05, 0.05];
    NAT_HOUR: 1.0 "hour", Published Unchecked, VPC, MORE => [0.045, 0.048, 0.052];
    NAT_DATA: 1.0 "GB", Published Unchecked, VPC, MORE => [0.045, 0.048, 0.052];
    PUBLIC_ADDRESS: 1.0 "hour", Unchecked Unchecked, VPC, MORE => [0.005, 0.005, 0.005];
    ENDPOINT_HOUR: 1.0 "hour", Unchecked Unchecked, PRIVATELINK, MORE => [0.01, 0.011, 0.012];

    FARGATE_X86_VCPU: 1.0 "vCPU-hour", Quoted Unchecked, FARGATE, MORE => [0.04048, 0.04048, 0.04656];
    FARGATE_X86_GB: 1.0 "GB-hour", Quoted Unchecked, FARGATE, MORE => [0.004445, 0.004445, 0.00511];
    FARGATE_ARM_VCPU: 1.0 "vCPU-hour", Quoted Unchecked, FARGATE, MORE => [0.03238, 0.03238, 0.03725];
    FARGATE_ARM_GB: 1.0 "GB-hour", Quoted Unchecked, FARGATE, MORE => [0.00356, 0.00356, 0.00409];
    T4G_MICRO: 1.0 "hour", Unchecked Unchecked, EC2, MORE => [0.0084, 0.0092, 0.0096];
    T4G_SMALL: 1.0 "hour", Unchecked Unchecked, EC2, MORE => [0.0168, 0.0184, 0.0192];
    EBS_GP3: 1.0 "GB-month", Unchecked Unchecked, EBS, MORE => [0.08, 0.088, 0.0952];
}

impl Region {
    /// All of them, in the order of the prices.
    pub(crate) const ALL: [Region; 3] = [Region::UsEast1, Region::EuWest1, Region::EuCentral1];

    /// The name that AWS uses.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Region::UsEast1 => "us-east-1",
            Region::EuWest1 => "eu-west-1",
            Region::EuCentral1 => "eu-central-1",
        }
    }

    /// Reads a name.
    ///
    /// # Errors
    ///
    /// The regions that are known, for another name.
    pub(crate) fn parse(name: &str) -> Result<Region, String> {
        let known = || Region::ALL.map(Region::name).join(", ");
        Region::ALL
            .into_iter()
            .find(|region| region.name() == name)
            .ok_or_else(|| format!("prices are known for {}", known()))
    }

    fn of<T: Copy>(self, values: &[T; 3]) -> T {
        let [virginia, ireland, frankfurt] = *values;
        match self {
            Region::UsEast1 => virginia,
            Region::EuWest1 => ireland,
            Region::EuCentral1 => frankfurt,
        }
    }
}

impl Basis {
    /// Its name in JSON.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Basis::Published => "published",
            Basis::Quoted => "quoted",
            Basis::Unchecked => "unchecked",
        }
    }
}

impl Price {
    /// The price of so many single things in a month, each part of the quantity at the price of its tier.
    pub(crate) fn of(&self, region: Region, quantity: f64) -> f64 {
        let units = quantity / self.size;
        let mut begin = 0.0;
        let mut usd = 0.0;
        for (end, prices) in self.tiers {
            usd += (units.min(*end) - begin).max(0.0) * region.of(prices);
            begin = *end;
        }
        usd
    }

    /// The price of one unit, in the first tier.
    pub(crate) fn first(&self, region: Region) -> f64 {
        self.tiers.first().map_or(0.0, |(_, prices)| region.of(prices))
    }

    /// Reliability of the price in this region.
    pub(crate) fn basis(&self, region: Region) -> Basis {
        let [home, elsewhere] = self.basis;
        if region == Region::UsEast1 { home } else { elsewhere }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-6 * expected.max(1.0), "{found} is not {expected}");
    }

    #[test]
    fn each_part_of_a_quantity_has_the_price_of_its_tier() {
        // https://aws.amazon.com/api-gateway/pricing/: 300 million HTTP requests at 1.00 USD and 132 million at 0.90 USD.
        is(HTTP_API.of(Region::UsEast1, 432e6), 300.0 + 132.0 * 0.90);
        // Custom metrics: 10,000 at 0.30 USD, 240,000 at 0.10 USD, 750,000 at 0.05 USD, the rest at 0.02 USD.
        is(CUSTOM_METRIC.of(Region::EuWest1, 1_000_100.0), 3_000.0 + 24_000.0 + 37_500.0 + 2.0);
        // https://aws.amazon.com/blogs/compute/: 60 TB of Lambda logs cost 12,500 USD instead of 30,000 USD.
        is(LOG_INGESTION.of(Region::UsEast1, 60e3), 12_500.0);
        // Just at the end of a tier, and nothing.
        is(REST_API.of(Region::UsEast1, 333e6), 1_165.5);
        is(REST_API.of(Region::UsEast1, 0.0), 0.0);
    }

    #[test]
    fn every_line_has_a_source_and_falling_tiers() {
        for (name, price) in ALL {
            assert!(price.source.starts_with("https://aws.amazon.com/") && price.source.ends_with('/'), "{name}");
            assert_eq!(price.tiers.last().map(|(end, _)| *end), Some(MORE), "{name}");
            for region in Region::ALL {
                let all: Vec<_> = price.tiers.iter().map(|(end, prices)| (*end, region.of(prices))).collect();
                assert!(all.is_sorted_by(|one, next| one.0 < next.0 && one.1 > next.1), "{name}: {all:?}");
                assert!(all.iter().all(|(_, usd)| *usd > 0.0), "{name}");
                // No region is cheaper than N. Virginia, or costs half as much again.
                let ratio = price.first(region) / price.first(Region::UsEast1);
                assert!((1.0..1.5).contains(&ratio), "{name}: {ratio}");
            }
        }
    }
}
