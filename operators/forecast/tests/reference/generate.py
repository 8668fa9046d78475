"""Writes reference.json: what statsmodels says at fixed parameters. The Rust tests must say the same.

    python3 -m venv venv && venv/bin/pip install statsmodels==0.15.0 pandas zstandard
    venv/bin/python generate.py DATA_FOLDER

Real series are read from the data folder and never written: of them the file holds parameters, results
and the sha256 of the input (float64, little endian). No result here gives observations away: states are
summed, and no forecast is last season's value moved by a constant. Synthetic series are written whole.
"""

import hashlib
import io
import json
import pathlib
import sys

import numpy as np
import pandas as pd
import zstandard
from statsmodels.tsa.exponential_smoothing.ets import ETSModel
from statsmodels.tsa.statespace.sarimax import SARIMAX

HORIZON = 30
REPETITIONS = 50_000


def table(folder, name, **kwargs):
    raw = (folder / name).read_bytes()
    text = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(raw)).read()
    return pd.read_csv(io.BytesIO(text), **kwargs)


def real_series(folder):
    """name -> (values, regressors or None)"""
    bike = table(folder, "uci_bike_sharing/hour.csv.zst")
    vic = table(folder, "vic_electricity/vic_electricity.csv.zst")
    sales = table(folder, "walmart_recruiting/train.csv.zst")
    weekly = sales[sales.Store == 1].groupby("Date").agg({"Weekly_Sales": "sum", "IsHoliday": "first"})
    visitors = table(folder, "daily_website_visitors/daily-website-visitors.csv.zst", thousands=",")
    taxi = table(folder, "nab_realtime/nyc_taxi.csv.zst")
    films = table(folder, "netflix_top10/all-weeks-global.tsv.zst", sep="\t")
    films = films[films.category == "Films (English)"].groupby("week").weekly_hours_viewed.sum()
    dc = table(folder, "dc_bikesharing_2010_2019/hourly_bikesharing.csv.zst")
    return {
        "uci_registered": (bike.registered[:1500], bike[["temp", "workingday"]][:1500]),
        "vic_demand": (vic.Demand[:1000], vic[["Temperature"]][:1000]),
        "walmart_store_1": (weekly.Weekly_Sales.round(2), weekly[["IsHoliday"]]),
        "website_visits": (visitors["Unique.Visits"], None),
        "nyc_taxi": (taxi.value[:1000], None),
        "netflix_films": (films.sort_index(), None),
        "dc_bikes": (dc["count"][:1000], None),
    }


def synthetic_series():
    rng = np.random.default_rng(7)
    n = 120
    season = np.array([3.0, -1.0, 0.5, -2.5])
    line = 20 + 0.1 * np.arange(n) + np.tile(season, n // 4) + rng.normal(0, 1, n).cumsum() * 0.3
    positive = np.exp(line / 20) * 10
    x = np.column_stack([rng.normal(size=n).round(4), (rng.random(n) < 0.1).astype(float)])
    return {
        # Few digits, so that every JSON reader sees the same numbers.
        "seasonal_walk": ((line + x @ [1.5, -4.0]).round(4), x),
        "positive_growth": (positive.round(4), None),
    }


def ets_case(series, values, name, params, period=1, fitted=False):
    """`name` like 'MAdM'; `params` alpha, beta, gamma, phi as far as the model has them."""
    word = {"A": "add", "M": "mul", "N": None}
    damped = "d" in name
    values = pd.Series(values)  # predictions with a variance need an index
    kind = dict(
        error=word[name[0]], trend=word[name[1]], damped_trend=damped, seasonal=word[name[-1]],
        seasonal_periods=period if name[-1] != "N" else None,
    )
    start = ETSModel(values, initialization_method="heuristic", **kind)
    known = dict(initialization_method="known", initial_level=start.initial_level)
    if word[name[1]]:
        known["initial_trend"] = start.initial_trend
    if word[name[-1]]:
        known["initial_seasonal"] = start.initial_seasonal
    model = ETSModel(values, **kind, **known)
    names = model.param_names
    if fitted:
        params = dict(zip(names, model.fit(disp=False).params))
    given = [params[key] for key in names]
    result = model.smooth(given)
    case = {
        "kind": "ets", "series": series, "model": name, "period": period,
        "params": {key: float(params.get(key, 0.0)) for key in
                   ("smoothing_level", "smoothing_trend", "smoothing_seasonal", "damping_trend")},
        "initial": {
            "level": float(model.initial_level), "trend": float(known.get("initial_trend", 0.0)),
            "season": [float(s) for s in np.atleast_1d(known.get("initial_seasonal", []))],
        },
        "llf": float(result.llf), "scale": float(result.scale), "states": [],
        "mean": [float(x) for x in result.forecast(HORIZON)],
    }
    for at in (0, 1, len(values) // 2, len(values) - 1):
        case["states"].append({"at": at, "values": [float(x) for x in np.asarray(result.states)[at]]})
    if name in ("ANN", "AAN", "AAdN", "ANA", "AAA", "AAdA"):
        prediction = result.get_prediction(start=len(values), end=len(values) + HORIZON - 1)
        case["variance"] = [float(x) for x in prediction.forecast_variance]
    else:
        paths = result.simulate(HORIZON, anchor="end", repetitions=REPETITIONS, rng=np.random.default_rng(3))
        case["simulated_variance"] = [float(x) for x in np.asarray(paths).var(axis=1)]
    return case


def sarimax_case(series, values, order, seasonal, params=None, exact=True, exog=None, missing=()):
    values = np.array(values, dtype=float)
    values[list(missing)] = np.nan
    exog = None if exog is None else np.asarray(exog, dtype=float)
    model = SARIMAX(values, exog=exog, order=order, seasonal_order=seasonal, use_exact_diffuse=exact)
    if params is None:
        params = model.fit(disp=False, maxiter=100).params
    result = model.smooth(params) if len(model.state_names) < 20 else model.filter(params)
    future = None if exog is None else exog[:HORIZON]
    forecast = result.get_forecast(HORIZON, exog=future)
    case = {
        "kind": "sarimax", "series": series, "order": list(order), "seasonal": list(seasonal),
        "exact": exact, "regressors": 0 if exog is None else exog.shape[1],
        "missing": [int(i) for i in missing],
        "params": dict(zip(model.param_names, [float(p) for p in params])), "names": model.param_names,
        "llf": float(result.llf), "states": [],
        "mean": [float(x) for x in forecast.predicted_mean],
        "variance": [float(x) for x in forecast.var_pred_mean],
    }
    for at in (len(values) // 2, len(values) - 1):
        case["states"].append({"at": at, "values": projected(result.filtered_state[:, at])})
    return case


def projected(state):
    """Three sums over the whole state: its differencing block is made of observations, which stay out."""
    i = np.arange(len(state))
    return [float(state @ np.cos(i)), float(state @ np.sin(i)), float(state @ np.cos(2.5 * i))]


def regression_case(series, values, exog, params, period):
    """Generalised least squares of an ETS(A,Ad,A) with regressors, put together from ETSModel alone: its
    residuals are linear in the series, so beta is least squares on the residuals of series and columns."""
    exog = np.asarray(exog, dtype=float)
    kind = dict(error="add", trend="add", damped_trend=True, seasonal="add", seasonal_periods=period)

    def smoothed(column, start):
        level, trend, season = start
        model = ETSModel(column, initialization_method="known", initial_level=level, initial_trend=trend,
                         initial_seasonal=season, **kind)
        return model.smooth([params[key] for key in model.param_names])

    def start_of(column):
        model = ETSModel(column, initialization_method="heuristic", **kind)
        return float(model.initial_level), float(model.initial_trend), np.array(model.initial_seasonal)

    columns = [values] + [exog[:, j] for j in range(exog.shape[1])]
    starts = [start_of(column) for column in columns]
    residuals = [smoothed(column, start).resid for column, start in zip(columns, starts)]
    beta, *_ = np.linalg.lstsq(np.column_stack(residuals[1:]), residuals[0], rcond=None)
    combined = tuple(starts[0][i] - sum(b * s[i] for b, s in zip(beta, starts[1:])) for i in range(3))
    rest = smoothed(values - exog @ beta, combined)
    future = exog[:HORIZON]
    return {
        "kind": "regression", "series": series, "period": period, "params": params,
        "initial": [{"level": s[0], "trend": s[1], "season": list(map(float, s[2]))} for s in starts],
        "beta": [float(b) for b in beta], "scale": float(rest.scale),
        "mean": [float(x) for x in rest.forecast(HORIZON) + future @ beta],
    }


def main():
    folder = pathlib.Path(sys.argv[1])
    smoothing = {"smoothing_level": 0.3, "smoothing_trend": 0.02, "smoothing_seasonal": 0.1, "damping_trend": 0.95}
    data = {name: (np.asarray(v, dtype=float), None if x is None else np.asarray(x, dtype=float))
            for name, (v, x) in {**real_series(folder), **synthetic_series()}.items()}
    y = {name: values for name, (values, _) in data.items()}
    x = {name: exog for name, (_, exog) in data.items()}

    cases = [
        ets_case("uci_registered", y["uci_registered"], "AAdA", smoothing, 24),
        ets_case("uci_registered", y["uci_registered"], "ANA", smoothing, 168),
        ets_case("vic_demand", y["vic_demand"], "MAdM", smoothing, 48),
        ets_case("vic_demand", y["vic_demand"], "AAA", smoothing, 48),
        ets_case("walmart_store_1", y["walmart_store_1"], "AAdN", smoothing),
        ets_case("walmart_store_1", y["walmart_store_1"], "MAN", smoothing),
        ets_case("website_visits", y["website_visits"], "AAdA", None, 7, fitted=True),
        ets_case("website_visits", y["website_visits"], "MNM", None, 7, fitted=True),
        ets_case("website_visits", y["website_visits"], "AAM", smoothing, 7),
        ets_case("vic_demand", y["vic_demand"], "MAdA", smoothing, 48),
        ets_case("nyc_taxi", y["nyc_taxi"], "AAdA", smoothing, 48),
        ets_case("nyc_taxi", y["nyc_taxi"], "ANM", smoothing, 48),
        ets_case("netflix_films", y["netflix_films"], "ANN", None, fitted=True),
        ets_case("netflix_films", y["netflix_films"], "MNN", smoothing),
        ets_case("netflix_films", y["netflix_films"], "AAN", smoothing),
        ets_case("dc_bikes", y["dc_bikes"], "AAdA", smoothing, 24),
        ets_case("seasonal_walk", y["seasonal_walk"], "AAA", None, 4, fitted=True),
        ets_case("seasonal_walk", y["seasonal_walk"], "MNA", smoothing, 4),
        ets_case("positive_growth", y["positive_growth"], "MAM", None, 4, fitted=True),
        ets_case("positive_growth", y["positive_growth"], "AAdM", smoothing, 4),
        ets_case("positive_growth", y["positive_growth"], "MAdN", smoothing, 4),
        sarimax_case("uci_registered", y["uci_registered"], (2, 0, 1), (1, 1, 1, 24),
                     [40.0, 25.0, 0.9, -0.1, 0.3, 0.2, -0.7, 1200.0], exact=False, exog=x["uci_registered"]),
        sarimax_case("uci_registered", y["uci_registered"], (1, 0, 0), (0, 1, 1, 24), [0.8, -0.8, 1500.0]),
        sarimax_case("vic_demand", y["vic_demand"], (1, 1, 1), (0, 1, 1, 48),
                     [-8.0, 0.6, 0.1, -0.6, 9000.0], exact=False, exog=x["vic_demand"]),
        sarimax_case("walmart_store_1", y["walmart_store_1"], (0, 1, 1), (0, 1, 1, 52),
                     [50000.0, -0.7, -0.5, 5e9], exog=x["walmart_store_1"]),
        sarimax_case("website_visits", y["website_visits"], (1, 0, 1), (0, 1, 1, 7)),
        sarimax_case("website_visits", y["website_visits"], (1, 0, 1), (0, 1, 1, 7),
                     exact=False, missing=[3, 4, *range(500, 530), *range(600, 1700, 11)]),
        sarimax_case("nyc_taxi", y["nyc_taxi"], (3, 0, 0), (0, 1, 1, 48), [1.2, -0.3, 0.05, -0.6, 800000.0]),
        sarimax_case("netflix_films", y["netflix_films"], (2, 1, 2), (0, 0, 0, 0), [0.5, 0.1, -0.6, -0.1, 1e15]),
        sarimax_case("netflix_films", y["netflix_films"] / 1e6, (1, 0, 0), (0, 0, 0, 0)),
        sarimax_case("dc_bikes", y["dc_bikes"], (2, 1, 1), (1, 0, 1, 24), [0.5, 0.1, -0.9, 0.9, -0.5, 1000.0],
                     missing=[0, 1, 2, 700]),
        sarimax_case("seasonal_walk", y["seasonal_walk"], (1, 1, 1), (1, 1, 1, 4), exog=x["seasonal_walk"]),
        sarimax_case("seasonal_walk", y["seasonal_walk"], (1, 2, 1), (0, 2, 1, 4),
                     [0.3, -0.5, -0.4, 2.0], missing=[2, 5, 60]),
        sarimax_case("seasonal_walk", y["seasonal_walk"], (0, 2, 1), (1, 1, 0, 4), [-0.5, -0.4, 2.0], exact=False),
        regression_case("uci_registered", y["uci_registered"], x["uci_registered"], smoothing, 24),
        regression_case("vic_demand", y["vic_demand"], x["vic_demand"], smoothing, 48),
        regression_case("seasonal_walk", y["seasonal_walk"], x["seasonal_walk"], smoothing, 4),
    ]
    scaled = [case for case in cases if case["kind"] == "sarimax" and case["order"] == [1, 0, 0]
              and case["series"] == "netflix_films"]
    scaled[0]["divided_by"] = 1e6

    synthetic = synthetic_series()
    inputs = {}
    for name, (values, exog) in data.items():
        digest = hashlib.sha256(values.astype("<f8").tobytes())
        if exog is not None:
            digest.update(exog.astype("<f8").tobytes())
        inputs[name] = {"sha256": digest.hexdigest(), "length": len(values)}
        if name in synthetic:
            inputs[name]["values"] = [float(v) for v in values]
            inputs[name]["regressors"] = [] if exog is None else [[float(v) for v in row] for row in exog]
    out = pathlib.Path(__file__).with_name("reference.json")
    lines = ",\n".join(json.dumps(case) for case in cases)
    out.write_text('{"inputs": ' + json.dumps(inputs) + ',\n"cases": [\n' + lines + "\n]}\n")


if __name__ == "__main__":
    main()
