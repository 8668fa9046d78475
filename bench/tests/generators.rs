//! The synthetic streams: the same for the same seed, and distributed as promised.

use std::collections::{HashMap, HashSet};

use nowcast_bench::Event;
use nowcast_bench::generate::START_MS;
use nowcast_bench::generate::arrivals::evening_rhythm;
use nowcast_bench::generate::clicks::{
    Action, Click, ClicksConfig, EVENTS_PER_SESSION, OrderedClicks, clicks,
};
use nowcast_bench::generate::demand::{Demand, DemandConfig, Demands, PROMOTION_LIFT};
use nowcast_bench::generate::sessions::Sessions;
use nowcast_bench::generate::subscriptions::{
    Change, PROMOTIONS, Subscriptions, SubscriptionsConfig, promotion_at, sign_up_rhythm,
};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

fn lines(events: impl Iterator<Item = impl Event>, count: usize) -> String {
    events.take(count).map(|event| event.to_json() + "\n").collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let click_lines = |seed| lines(clicks(&ClicksConfig::seeded(seed)), 2000);
    assert_eq!(click_lines(7), click_lines(7));
    assert_ne!(click_lines(7), click_lines(8));
    let subscription_lines = |seed| {
        lines(
            Subscriptions::new(SubscriptionsConfig { seed, ..SubscriptionsConfig::default() }),
            2000,
        )
    };
    assert_eq!(subscription_lines(7), subscription_lines(7));
    assert_ne!(subscription_lines(7), subscription_lines(8));
    let demand_lines =
        |seed| lines(Demands::new(DemandConfig { seed, ..DemandConfig::default() }), 500);
    assert_eq!(demand_lines(7), demand_lines(7));
    assert_ne!(demand_lines(7), demand_lines(8));
}

#[test]
fn every_event_is_one_flat_object_with_its_fields_in_order() {
    let click = Click {
        event_time_ms: 1_767_614_400_123,
        profile_id: 17,
        session_id: 0xabc,
        title_id: 5,
        action: Action::Stop,
        watch_seconds: 61,
        country: "BR",
        device: "tv",
    };
    assert_eq!(
        click.to_json(),
        r#"{"event_time":"2026-01-05 12:00:00.123","profile_id":17,"session_id":"0000000000000abc","title_id":5,"event_type":"stop","watch_seconds":61,"country":"BR","device":"tv"}"#
    );
    assert_eq!(click.key(), "17");
    let fields = |line: &str| -> Vec<String> {
        let value: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
        let mut names: Vec<String> = value.keys().cloned().collect();
        names.sort_by_key(|name| line.find(&format!("\"{name}\":")));
        names
    };
    let subscription = Subscriptions::new(SubscriptionsConfig::default()).next().unwrap().to_json();
    let expected =
        ["event_time", "subscriber_id", "event_type", "plan", "old_plan", "country", "promotion"];
    assert_eq!(fields(&subscription), expected);
    let demand = Demands::new(DemandConfig::default()).next().unwrap().to_json();
    let expected = [
        "event_time",
        "region",
        "demand",
        "temp",
        "humidity",
        "windspeed",
        "workingday",
        "holiday",
        "hour",
        "promotion",
    ];
    assert_eq!(fields(&demand), expected);
}

#[test]
fn a_week_of_clicks_has_the_rate_rhythm_and_length_of_sessions_asked_for() {
    let config = ClicksConfig::seeded(3);
    let week: Vec<Click> = OrderedClicks::new(&config)
        .take_while(|click| click.event_time_ms < START_MS + 7 * DAY_MS)
        .collect();
    assert!(week.is_sorted_by_key(|click| click.event_time_ms));
    assert!(week[0].event_time_ms >= START_MS);

    let mut by_session: HashMap<u64, usize> = HashMap::new();
    week.iter().for_each(|click| *by_session.entry(click.session_id).or_default() += 1);
    let expected = config.sessions_per_s * 7.0 * 86_400.0;
    assert!(
        (by_session.len() as f64 / expected - 1.0).abs() < 0.02,
        "{} sessions, {expected} asked",
        by_session.len()
    );
    let per_session = week.len() as f64 / by_session.len() as f64;
    assert!(
        (per_session / EVENTS_PER_SESSION - 1.0).abs() < 0.03,
        "{per_session} events a session"
    );

    // Sessions last an hour or two, so events follow the rhythm of arrivals loosely.
    let mut by_hour = [0.0; 24];
    week.iter().for_each(|click| {
        by_hour[(click.event_time_ms.rem_euclid(DAY_MS) / HOUR_MS) as usize] += 1.0
    });
    assert!(by_hour[21] > 4.0 * by_hour[5], "{by_hour:?}");
    assert!(evening_rhythm(START_MS + 20 * HOUR_MS) > 4.0 * evening_rhythm(START_MS + 4 * HOUR_MS));
}

#[test]
fn titles_follow_zipf_and_watch_seconds_belong_to_stop_and_pause() {
    let mut counts = vec![0.0_f64; 1001];
    let mut countries: HashMap<&str, u32> = HashMap::new();
    for click in clicks(&ClicksConfig::seeded(5)).take(300_000) {
        assert!((1..=1000).contains(&click.title_id));
        assert!((1..=20_000).contains(&click.profile_id));
        match click.action {
            Action::Stop | Action::Pause => {
                assert!(click.watch_seconds > 0 && click.watch_seconds < 3 * 3600)
            }
            _ => assert_eq!(click.watch_seconds, 0),
        }
        if click.action == Action::Play {
            counts[click.title_id as usize] += 1.0;
        }
        *countries.entry(click.country).or_default() += 1;
    }
    assert_eq!(countries.len(), 20);
    assert!((countries["US"] as f64 / 300_000.0 - 0.26).abs() < 0.03, "{countries:?}");
    counts.sort_by(|a, b| b.total_cmp(a));
    let points: Vec<(f64, f64)> =
        (0..100).map(|rank| ((rank as f64 + 1.0).ln(), counts[rank].ln())).collect();
    let slope = slope(&points);
    assert!((-1.1..-0.4).contains(&slope), "slope {slope}");
    let top: f64 = counts[..50].iter().sum::<f64>() / counts.iter().sum::<f64>();
    assert!(top > 0.2, "the top 5 % of titles have {top} of the plays");
}

#[test]
fn few_clicks_are_late_for_a_watermark_of_the_bound() {
    let config = ClicksConfig { late_share: 0.002, ..ClicksConfig::seeded(11) }.events_per_s(200.0);
    let (mut newest_ms, mut late, mut out_of_order) = (i64::MIN, 0, 0);
    let count = 200_000;
    for click in clicks(&config).take(count) {
        late +=
            u32::from(click.event_time_ms < newest_ms.saturating_sub(config.delay_max_ms as i64));
        out_of_order += u32::from(click.event_time_ms < newest_ms);
        newest_ms = newest_ms.max(click.event_time_ms);
    }
    let share = f64::from(late) / count as f64;
    assert!((0.0015..0.0025).contains(&share), "{share} late");
    assert!(out_of_order > late * 10, "{out_of_order} out of order");

    let punctual = ClicksConfig { late_share: 0.0, ..config };
    let mut newest_ms = i64::MIN;
    for click in clicks(&punctual).take(count) {
        assert!(click.event_time_ms >= newest_ms.saturating_sub(punctual.delay_max_ms as i64));
        newest_ms = newest_ms.max(click.event_time_ms);
    }
}

#[test]
fn delays_change_the_order_and_nothing_else() {
    let config = ClicksConfig::seeded(2).events_per_s(500.0);
    let mut delayed: Vec<String> =
        clicks(&config).take(5000).map(|click| click.to_json()).collect();
    let ordered: HashSet<String> =
        OrderedClicks::new(&config).take(60_000).map(|click| click.to_json()).collect();
    assert!(!delayed.is_sorted());
    delayed.retain(|click| !ordered.contains(click));
    assert!(delayed.is_empty());
}

#[test]
fn the_next_title_can_be_learnt_from_the_last() {
    let sessions: Vec<Vec<u16>> =
        Sessions::new(clicks(&ClicksConfig::seeded(7))).take(20_000).collect();
    assert!(sessions.iter().all(|session| session.len() >= 2));
    let (train, test) = sessions.split_at(18_000);
    let mut follows: HashMap<u16, HashMap<u16, u32>> = HashMap::new();
    let mut popular: HashMap<u16, u32> = HashMap::new();
    for pair in train.iter().flat_map(|session| session.windows(2)) {
        *follows.entry(pair[0]).or_default().entry(pair[1]).or_default() += 1;
        *popular.entry(pair[1]).or_default() += 1;
    }
    let top = |counts: &HashMap<u16, u32>| -> Vec<u16> {
        let mut ranked: Vec<(u32, u16)> =
            counts.iter().map(|(&title, &count)| (count, title)).collect();
        ranked.sort_unstable_by(|a, b| b.cmp(a));
        ranked.into_iter().take(20).map(|ranked| ranked.1).collect()
    };
    let popular = top(&popular);
    let (mut pairs, mut by_pair, mut by_popularity) = (0.0, 0.0, 0.0);
    for pair in test.iter().flat_map(|session| session.windows(2)) {
        pairs += 1.0;
        by_pair += f64::from(u8::from(
            follows.get(&pair[0]).is_some_and(|counts| top(counts).contains(&pair[1])),
        ));
        by_popularity += f64::from(u8::from(popular.contains(&pair[1])));
    }
    assert!(by_pair / pairs > 0.5, "hit rate at 20 by the last title {}", by_pair / pairs);
    assert!(by_popularity / pairs < 0.25, "hit rate at 20 by popularity {}", by_popularity / pairs);
}

#[test]
fn promotions_lift_sign_ups_by_their_factor() {
    let mut counts: HashMap<(&str, i64), f64> = HashMap::new();
    let mut balance = 0_i64;
    let days = 4 * 19 * 3;
    for event in Subscriptions::new(SubscriptionsConfig::default()) {
        if event.event_time_ms >= START_MS + days * DAY_MS {
            break;
        }
        assert_eq!(event.old_plan.is_some(), event.change == Change::PlanChange);
        assert_ne!(event.old_plan, Some(event.plan));
        match event.change {
            Change::SignUp => {
                balance += 1;
                assert_eq!(
                    event.promotion,
                    promotion_at(event.event_time_ms).map(|promotion| promotion.name)
                );
                *counts.entry((event.promotion.unwrap_or("none"), 0)).or_default() += 1.0;
            }
            Change::Cancel => balance -= 1,
            Change::PlanChange => assert_eq!(event.promotion, None),
        }
    }
    // The exposure of each promotion: the rate that its minutes would have had without it.
    let mut exposure: HashMap<&str, f64> = HashMap::new();
    for minute in 0..days * 24 * 60 {
        let ms = START_MS + minute * 60_000;
        let name = promotion_at(ms).map_or("none", |promotion| promotion.name);
        *exposure.entry(name).or_default() += sign_up_rhythm(ms);
    }
    let base = counts[&("none", 0)] / exposure["none"];
    for promotion in PROMOTIONS {
        let lift = counts[&(promotion.name, 0)] / exposure[promotion.name] / base;
        assert!((lift / promotion.lift - 1.0).abs() < 0.05, "{}: {lift}", promotion.name);
    }
    assert!(balance.abs() < 60_000, "{balance} net adds in {days} days");
}

#[test]
fn demand_has_one_row_an_hour_and_region_and_the_effects_promised() {
    let config =
        DemandConfig { regions: vec!["a".into(), "b\"".into()], ..DemandConfig::default() };
    let rows: Vec<Demand> = Demands::new(config).take(2 * 24 * 730).collect();
    for (number, row) in rows.iter().enumerate() {
        assert_eq!(row.event_time_ms, START_MS + number as i64 / 2 * HOUR_MS);
        assert_eq!(i64::from(row.hour), row.event_time_ms.rem_euclid(DAY_MS) / HOUR_MS);
        assert!(row.demand >= 0.0 && row.demand.fract() == 0.0);
        assert!(
            [row.temp, row.humidity, row.windspeed].iter().all(|share| (0.0..=1.0).contains(share))
        );
    }
    assert!(
        serde_json::from_str::<serde_json::Value>(&rows[1].to_json()).unwrap()["region"] == "b\""
    );

    // Of the same hour of working days a week apart, the one with a promotion has the higher demand.
    let mut ratios = Vec::new();
    for (at, row) in rows.iter().enumerate().filter(|(_, row)| row.hour == 17 && row.workingday) {
        let Some(other) = rows.get(at + 2 * 24 * 7) else { break };
        if other.workingday
            && row.promotion != other.promotion
            && other.demand > 0.0
            && row.demand > 0.0
        {
            let ratio = (row.demand / other.demand).ln();
            ratios.push(if row.promotion { ratio } else { -ratio });
        }
    }
    let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
    assert!(
        (mean - PROMOTION_LIFT.ln()).abs() < 0.05,
        "promotion effect {mean} in {} pairs",
        ratios.len()
    );
    let (warm, cold): (Vec<&Demand>, Vec<&Demand>) = rows.iter().partition(|row| row.temp > 0.5);
    let mean =
        |rows: &[&Demand]| rows.iter().map(|row| row.demand).sum::<f64>() / rows.len() as f64;
    assert!(mean(&warm) > 1.2 * mean(&cold));
}

fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let (x, y) = (
        points.iter().map(|p| p.0).sum::<f64>() / count,
        points.iter().map(|p| p.1).sum::<f64>() / count,
    );
    points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>()
        / points.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>()
}
