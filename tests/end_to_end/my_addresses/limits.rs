//! How often a code may be tried, how long it lasts, and how many may be sent; and how much of it may be done.

use super::*;
use crate::limits::rate;

fn refused(answer: &Answered) -> (u16, &str, String) {
    let detail = answer.body["errors"][0]["detail"].as_str().unwrap_or_default();
    (answer.status.as_u16(), answer.problem(), detail.to_owned())
}

#[tokio::test]
async fn five_wrong_codes_use_it_up() {
    let mut world = World::start().await;
    let ben = world.ben.clone();
    let (claimed, code) = world.claim(&ben, "desk", "desk-7").await;
    for code in ["", "1234567", "123456789", "1234567a", "１２３４５６７８"] {
        let answer = show(&ben, &claimed, code).await;
        assert_eq!((answer.problem(), answer.fields()), ("invalid", vec!["code"]), "{code}");
        assert!(refused(&answer).2.contains("8 digits"), "{code}: {answer:?}");
    }
    let wrong = other_than(&code);
    for left in ["4 tries are left", "3 tries are left", "2 tries are left", "1 try is left", "was the last try"] {
        let answer = show(&ben, &claimed, &wrong).await;
        let (status, problem, detail) = refused(&answer);
        assert_eq!((status, problem, answer.fields()), (422, "invalid", vec!["code"]), "{answer:?}");
        assert!(detail.contains(left) && !detail.contains(&code), "{detail}");
    }
    let answer = show(&ben, &claimed, &code).await;
    assert_eq!((answer.status.as_u16(), answer.problem()), (410, "expired"), "the right one is too late: {answer:?}");
    world.minute();
    let confirmed = world.confirmed(&ben, "desk", "desk-7").await;
    assert_eq!(confirmed["id"], claimed["id"], "by another code");
}

#[tokio::test]
async fn a_code_lasts_ten_minutes_and_the_newest_alone_is_good() {
    let mut world = World::start().await;
    let ben = world.ben.clone();
    let (claimed, first) = world.claim(&ben, "desk", "desk-7").await;
    world.minute();
    let (again, second) = world.claim(&ben, "desk", "desk-7").await;
    assert_eq!(again["id"], claimed["id"], "it is the same address");
    if first != second {
        assert_eq!(show(&ben, &claimed, &first).await.problem(), "invalid");
    }
    world.clock.advance(Duration::from_secs(599));
    let kept = listed(&ben).await;
    assert_eq!(kept[0]["expires_at"], again["expires_at"]);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(show(&ben, &claimed, &second).await.problem(), "expired");
    world.confirmed(&ben, "desk", "desk-7").await;
}

#[tokio::test]
async fn the_next_code_for_an_address_is_sent_a_minute_later_also_when_it_was_taken_away() {
    let mut world = World::start().await;
    let ben = world.ben.clone();
    let (claimed, code) = world.claim(&ben, "desk", "desk-7").await;
    world.clock.advance(Duration::from_millis(500));
    let too_soon = ben.post(MINE, at("desk", "desk-7")).await;
    assert_eq!((too_soon.status.as_u16(), too_soon.problem()), (429, "too_many_requests"), "{too_soon:?}");
    assert_eq!(too_soon.headers["retry-after"], "60");
    let path = format!("{MINE}/{}", text(&claimed, "id"));
    assert_eq!(ben.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(ben.post(MINE, at("desk", "desk-7")).await.problem(), "too_many_requests");
    assert_eq!(show(&ben, &claimed, &code).await.problem(), "not_found");
    world.claim(&ben, "desk", "desk-8").await;
    world.minute();
    world.confirmed(&ben, "desk", "desk-7").await;
}

#[tokio::test]
async fn five_addresses_may_wait_and_those_taken_away_lately_count() {
    let mut world = World::start().await;
    let ben = world.ben.clone();
    let mut waiting = Vec::new();
    for desk in 1..=5 {
        waiting.push(world.claim(&ben, "desk", &format!("desk-{desk}")).await);
    }
    let one_more = ben.post(MINE, at("mail", "ben@example.org")).await;
    assert_eq!((one_more.status.as_u16(), one_more.problem()), (429, "too_many_requests"), "{one_more:?}");
    assert_eq!((listed(&ben).await.len(), &one_more.headers["retry-after"]), (5, &"600".parse().unwrap()));
    let (last, _) = waiting.pop().unwrap();
    ben.delete(&format!("{MINE}/{}", text(&last, "id"))).await;
    assert_eq!(ben.post(MINE, at("mail", "ben@example.org")).await.problem(), "too_many_requests");
    let (first, code) = waiting.swap_remove(0);
    assert_eq!(show(&ben, &first, &code).await.status, StatusCode::OK);
    world.claim(&ben, "mail", "ben@example.org").await;
    world.clock.advance(Duration::from_mins(10));
    world.claim(&ben, "desk", "desk-5").await;
    let other = world.ana.clone();
    world.claim(&other, "desk", "desk-1").await;
}

#[tokio::test]
async fn what_is_not_confirmed_in_time_makes_room_for_the_next_and_what_is_confirmed_stays() {
    let mut world = World::start().await;
    let ben = world.ben.clone();
    world.confirmed(&ben, "mail", "ben@example.org").await;
    let (lapsed, code) = world.claim(&ben, "desk", "desk-1").await;
    world.clock.advance(Duration::from_mins(5));
    world.claim(&ben, "desk", "desk-2").await;
    world.clock.advance(Duration::from_mins(5));
    world.claim(&ben, "desk", "desk-3").await;
    let mut addresses: Vec<_> = listed(&ben).await.iter().map(|one| text(one, "address").to_owned()).collect();
    addresses.sort();
    assert_eq!(addresses, ["ben@example.org", "desk-2", "desk-3"]);
    assert_eq!(show(&ben, &lapsed, &code).await.problem(), "not_found");
}

#[tokio::test]
async fn addresses_and_preferences_count_with_all_that_a_person_does() {
    let mut world = World::start().await;
    let ben = world.ben.clone();
    let prefer = async |locale: &str| {
        let preferences = json!({ "locale": locale });
        read(ben.call(Method::PUT, "/api/me/preferences").json(&preferences).send().await.unwrap()).await
    };
    let first = ben.post(MINE, at("desk", "desk-7")).await;
    assert_eq!((first.status, rate(&first)), (StatusCode::CREATED, [20, 19, 3]));
    let code = text(&world.plug_in.told("code").await, "code").to_owned();
    let path = format!("{MINE}/{}", text(&first.body, "id"));
    for (answer, status, left) in [
        (ben.post(MINE, at("slack", "ben")).await, 422, 18),
        (show(&ben, &first.body, &other_than(&code)).await, 422, 17),
        (show(&ben, &first.body, &code).await, 200, 16),
        (prefer("de").await, 200, 15),
        (ben.delete(&path).await, 204, 14),
        (ben.delete(&path).await, 404, 13),
    ] {
        assert_eq!((answer.status.as_u16(), &rate(&answer)[..2]), (status, &[20, left][..]), "{answer:?}");
    }
    for path in [MINE, "/api/me/preferences"] {
        assert!(!ben.get(path).await.headers.contains_key("x-ratelimit-limit"), "reading does not count");
    }
    let (waiting, code) = world.claim(&ben, "desk", "desk-8").await;
    for left in (0..12).rev() {
        assert_eq!(rate(&prefer("fr").await)[1], left);
    }
    for refused in [
        ben.post(MINE, at("desk", "desk-9")).await,
        show(&ben, &waiting, &code).await,
        ben.delete(&format!("{MINE}/{}", text(&waiting, "id"))).await,
        prefer("it").await,
    ] {
        assert_eq!((refused.status.as_u16(), refused.problem()), (429, "too_many_requests"), "{refused:?}");
        assert_eq!((rate(&refused), &refused.headers["retry-after"]), ([20, 0, 60], &"3".parse().unwrap()));
    }
    assert_eq!(listed(&ben).await, [waiting], "nothing was done");
    assert_eq!(ben.get("/api/me/preferences").await.body["locale"], "fr");
    world.claim(&world.ana.clone(), "desk", "desk-7").await;
    world.clock.advance(Duration::from_secs(3));
    world.claim(&ben, "desk", "desk-9").await;
}
