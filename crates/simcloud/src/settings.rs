//! How the cloud behaves: spans of time, rates of failure, quotas.

use serde::{Deserialize, Serialize};
use zenekar_base::Millis;

/// One million: the denominator of all rates.
const MILLION: u64 = 1_000_000;

/// The longest span that settings may name: a week. Longer ones are typing
/// mistakes, and the bound keeps all sums of spans far from overflow.
const SPAN_MAX: Millis = Millis(7 * 24 * 3_600 * 1_000);

/// The most points that a span may be divided into; a millisecond of a span
/// of a minute is as fine as anybody can tell.
const SPAN_STEPS_MAX: u32 = 65_536;

/// The names that [`Settings::profile`] knows.
pub const PROFILES: [&str; 3] = ["calm", "typical", "hostile"];

/// A span of time that is drawn anew each time, both ends included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "[u64; 2]", into = "[u64; 2]")]
pub struct SpanRange {
    /// The shortest.
    pub low: Millis,
    /// The longest.
    pub high: Millis,
}

impl SpanRange {
    /// Makes a range from two numbers of milliseconds.
    pub const fn new(low_ms: u64, high_ms: u64) -> Self {
        Self {
            low: Millis(low_ms),
            high: Millis(high_ms),
        }
    }

    /// Makes a range of one length only.
    pub const fn fixed(ms: u64) -> Self {
        Self::new(ms, ms)
    }

    /// Says whether the ends are in order and within the bound.
    pub fn is_valid(self) -> bool {
        self.low <= self.high && self.high <= SPAN_MAX
    }
}

impl From<[u64; 2]> for SpanRange {
    fn from([low, high]: [u64; 2]) -> Self {
        Self::new(low, high)
    }
}
impl From<SpanRange> for [u64; 2] {
    fn from(range: SpanRange) -> Self {
        [range.low.0, range.high.0]
    }
}

/// How long things take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spans {
    /// A create call, from request to reply. The effect comes half-way, as for all calls.
    pub create: SpanRange,
    /// A describe or list call.
    pub observe: SpanRange,
    /// A delete call.
    pub delete: SpanRange,
    /// A recontextualise call.
    pub recontextualise: SpanRange,
    /// A health check.
    pub probe: SpanRange,
    /// From the effect of a create call until the machine runs and has its address.
    pub boot: SpanRange,
    /// From then until its contextualisation is done and it is healthy.
    pub contextualise: SpanRange,
    /// From the effect of a delete call until the machine is gone.
    pub deletion: SpanRange,
    /// From running until a spontaneous failure, where there is one.
    pub life_fault: SpanRange,
}

impl Default for Spans {
    /// Returns the spans of the calm profile: a quick public cloud.
    fn default() -> Self {
        Self {
            create: SpanRange::new(200, 600),
            observe: SpanRange::new(30, 90),
            delete: SpanRange::new(80, 200),
            recontextualise: SpanRange::new(50, 150),
            probe: SpanRange::new(5, 20),
            boot: SpanRange::new(8_000, 15_000),
            contextualise: SpanRange::new(5_000, 20_000),
            deletion: SpanRange::new(2_000, 5_000),
            life_fault: SpanRange::new(10_000, 600_000),
        }
    }
}

/// How often things go wrong, in parts per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// Of all calls: refused, with a pause to keep.
    pub throttled: u32,
    /// Of all calls: a server error without an effect.
    pub server_error: u32,
    /// Of all calls: no answer in time, although the effect took place.
    pub timeout_after_effect: u32,
    /// Of the changing calls: no answer in time, and the effect comes after that.
    pub timeout_late_effect: u32,
    /// Of all calls: no answer in time, and no effect ever.
    pub timeout_without_effect: u32,
    /// Of all calls: the beginning of an outage of the whole interface.
    pub outage: u32,
    /// Of the create calls: no such machine free now.
    pub capacity: u32,
    /// Of the observe calls: an answer that lags behind the truth.
    pub stale_list: u32,
    /// Of the probes: a healthy instance reported as unhealthy.
    pub false_alarm: u32,
    /// Of the created instances: end in state failed instead of running.
    pub boot_failure: u32,
    /// Of the created instances and of contextualisations in place: run and are never healthy.
    pub never_healthy: u32,
    /// Of the created instances: take several times as long to boot.
    pub slow_boot: u32,
    /// Of the running instances: vanish without a trace.
    pub lost: u32,
    /// Of the running instances: are stopped by somebody else.
    pub stopped: u32,
    /// Of the running instances: are deleted by somebody else.
    pub killed: u32,
    /// Of the running instances: go on running, and are not healthy any more.
    pub hung: u32,
}

/// Limits of the account; `None` where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quota {
    /// Instances that may exist at once, in whatever state.
    pub instances: Option<u32>,
    /// Cores that these may have together.
    pub cores: Option<u32>,
}

/// Everything that the behaviour of a cloud depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Seed of [`crate::SeededChooser`].
    pub seed: u64,
    /// How long things take.
    pub spans: Spans,
    /// Into how many points a span is divided: 1 means always the shortest. An
    /// explorer takes 1 or 2, dice take many.
    pub span_steps: u32,
    /// Whether the chooser is asked for the order of events at the same instant.
    pub reorder_ties: bool,
    /// When a caller stops to wait; no call takes longer.
    pub call_timeout: Millis,
    /// How long after its time-out a call may still take effect.
    pub late_effect_max: Millis,
    /// How far an answer to an observe call may lag behind the truth.
    pub list_staleness_max: Millis,
    /// How long a deleted resource is still shown, as gone.
    pub gone_visible: Millis,
    /// The pause that a throttled caller is asked to keep.
    pub retry_after: Millis,
    /// How long a spontaneous outage lasts.
    pub outage: Millis,
    /// How many times longer a slow boot takes.
    pub slow_boot_factor: u32,
    /// Limits of the account.
    pub quota: Quota,
    /// How often things go wrong.
    pub rates: Rates,
}

impl Default for Settings {
    fn default() -> Self {
        Self::calm()
    }
}

impl Settings {
    /// Returns the profile without failures: what is asked for happens, and
    /// every list tells the truth. Calls take tens to hundreds of
    /// milliseconds, machines 8 to 15 s to boot and 5 to 20 s to be healthy.
    pub fn calm() -> Self {
        Self {
            seed: 0,
            spans: Spans::default(),
            span_steps: 1_024,
            reorder_ties: false,
            call_timeout: Millis(2_000),
            late_effect_max: Millis::ZERO,
            list_staleness_max: Millis::ZERO,
            gone_visible: Millis::from_secs(60),
            retry_after: Millis::from_secs(1),
            outage: Millis::from_secs(20),
            slow_boot_factor: 5,
            quota: Quota::default(),
            rates: Rates::default(),
        }
    }

    /// Returns the profile of an ordinary day at a public cloud: 1 call in 100
    /// is throttled, 1 in 500 fails, 1 in 1,000 times out; lists lag by up to
    /// 3 s; 1 machine in 200 does not boot, 1 in 500 is never healthy.
    pub fn typical() -> Self {
        Self {
            call_timeout: Millis(5_000),
            late_effect_max: Millis(5_000),
            list_staleness_max: Millis(3_000),
            rates: Rates {
                throttled: 10_000,
                server_error: 2_000,
                timeout_after_effect: 500,
                timeout_late_effect: 200,
                timeout_without_effect: 300,
                outage: 0,
                capacity: 1_000,
                stale_list: 100_000,
                false_alarm: 1_000,
                boot_failure: 5_000,
                never_healthy: 2_000,
                slow_boot: 20_000,
                lost: 500,
                stopped: 500,
                killed: 0,
                hung: 500,
            },
            ..Self::calm()
        }
    }

    /// Returns the profile that tries to break its caller: 1 call in 10 is
    /// throttled, 1 in 20 fails, 7 in 100 time out with all outcomes, every
    /// other list lags by up to 10 s; 1 machine in 20 does not boot, 1 in 50
    /// is never healthy, 4 in 100 break down later. It still lets a patient
    /// caller through.
    pub fn hostile() -> Self {
        Self {
            call_timeout: Millis(10_000),
            late_effect_max: Millis(20_000),
            list_staleness_max: Millis(10_000),
            retry_after: Millis::from_secs(2),
            rates: Rates {
                throttled: 100_000,
                server_error: 50_000,
                timeout_after_effect: 30_000,
                timeout_late_effect: 20_000,
                timeout_without_effect: 20_000,
                outage: 200,
                capacity: 20_000,
                stale_list: 500_000,
                false_alarm: 10_000,
                boot_failure: 50_000,
                never_healthy: 20_000,
                slow_boot: 50_000,
                lost: 10_000,
                stopped: 10_000,
                killed: 10_000,
                hung: 10_000,
            },
            ..Self::calm()
        }
    }

    /// Returns the profile of that name; see [`PROFILES`].
    pub fn profile(name: &str) -> Option<Self> {
        match name {
            "calm" => Some(Self::calm()),
            "typical" => Some(Self::typical()),
            "hostile" => Some(Self::hostile()),
            _ => None,
        }
    }

    /// Returns the bound that callers may rely on: whatever was asked for at
    /// some time has happened, and is seen in every list that was asked for,
    /// this long after that time; or it never happens.
    pub fn settle(&self) -> Millis {
        self.call_timeout + self.late_effect_max + self.list_staleness_max
    }

    /// Checks that ranges are in order and rates add up to one at most; the
    /// error says what is wrong in one line.
    pub fn validate(&self) -> Result<(), String> {
        let Spans {
            create,
            observe,
            delete,
            recontextualise,
            probe,
            boot,
            contextualise,
            deletion,
            life_fault,
        } = self.spans;
        let spans = [
            ("create", create),
            ("observe", observe),
            ("delete", delete),
            ("recontextualise", recontextualise),
            ("probe", probe),
            ("boot", boot),
            ("contextualise", contextualise),
            ("deletion", deletion),
            ("life_fault", life_fault),
        ];
        if let Some((name, _)) = spans.iter().find(|(_, range)| !range.is_valid()) {
            return Err(format!(
                "span `{name}` needs two numbers of milliseconds in order, up to {SPAN_MAX}"
            ));
        }
        let lengths = [
            ("call_timeout", self.call_timeout),
            ("late_effect_max", self.late_effect_max),
            ("list_staleness_max", self.list_staleness_max),
            ("gone_visible", self.gone_visible),
            ("retry_after", self.retry_after),
            ("outage", self.outage),
        ];
        if let Some((name, _)) = lengths.iter().find(|(_, length)| *length > SPAN_MAX) {
            return Err(format!("`{name}` is longer than {SPAN_MAX}"));
        }
        if self.call_timeout == Millis::ZERO {
            return Err("`call_timeout` needs at least 1 ms".to_owned());
        }
        if self.late_effect_max == Millis::ZERO && self.rates.timeout_late_effect > 0 {
            return Err(
                "`late_effect_max` needs at least 1 ms where `timeout_late_effect` is not zero"
                    .to_owned(),
            );
        }
        if !(1..=SPAN_STEPS_MAX).contains(&self.span_steps) {
            return Err(format!(
                "`span_steps` needs a number from 1 to {SPAN_STEPS_MAX}"
            ));
        }
        if !(1..=100).contains(&self.slow_boot_factor) {
            return Err("`slow_boot_factor` needs a number from 1 to 100".to_owned());
        }
        self.rates.validate()
    }
}

impl Rates {
    /// Checks that what excludes each other adds up to one million at most.
    fn validate(&self) -> Result<(), String> {
        let calls: [u32; 8] = [
            self.throttled,
            self.server_error,
            self.timeout_after_effect,
            self.timeout_late_effect,
            self.timeout_without_effect,
            self.outage,
            self.capacity,
            self.false_alarm,
        ];
        let groups: [(&str, &[u32]); 4] = [
            ("failures of calls", &calls),
            (
                "failures of booting",
                &[self.boot_failure, self.never_healthy, self.slow_boot],
            ),
            (
                "failures of running instances",
                &[self.lost, self.stopped, self.killed, self.hung],
            ),
            ("stale lists", &[self.stale_list]),
        ];
        for (name, rates) in groups {
            if rates.iter().map(|&rate| u64::from(rate)).sum::<u64>() > MILLION {
                return Err(format!(
                    "the rates of {name} add up to more than {MILLION} parts per million"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_profiles_are_valid_and_known_by_name() {
        for name in PROFILES {
            let settings = Settings::profile(name).expect("listed");
            assert_eq!(settings.validate(), Ok(()), "{name}");
        }
        assert_eq!(Settings::profile("sunny"), None);
    }

    #[test]
    fn mistakes_are_named() {
        let check = |change: fn(&mut Settings), words: &str| {
            let mut settings = Settings::calm();
            change(&mut settings);
            let message = settings.validate().expect_err("invalid");
            assert!(message.contains(words), "{message}");
        };
        check(
            |settings| settings.spans.boot = SpanRange::new(5, 4),
            "`boot`",
        );
        check(
            |settings| settings.call_timeout = Millis::ZERO,
            "`call_timeout`",
        );
        check(|settings| settings.outage = Millis::MAX, "`outage`");
        check(|settings| settings.span_steps = 0, "`span_steps`");
        check(
            |settings| settings.slow_boot_factor = 0,
            "`slow_boot_factor`",
        );
        check(
            |settings| {
                settings.rates = Rates {
                    lost: 600_000,
                    hung: 600_000,
                    ..Rates::default()
                }
            },
            "running instances",
        );
    }

    #[test]
    fn settings_are_written_as_people_edit_them() {
        let text = r#"{"seed": 7, "spans": {"boot": [1, 2]}, "rates": {"throttled": 5}, "quota": {"cores": 4}}"#;
        let settings: Settings = serde_json::from_str(text).expect("valid");
        assert_eq!(
            (settings.spans.boot, settings.quota.cores, settings.seed),
            (SpanRange::new(1, 2), Some(4), 7)
        );
        assert_eq!(settings.spans.create, Spans::default().create);
        assert!(serde_json::from_str::<Settings>(r#"{"sede": 7}"#).is_err());
    }
}
