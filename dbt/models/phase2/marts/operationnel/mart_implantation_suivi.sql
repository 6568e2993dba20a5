select
    zone_id,
    annee,
    mois,
    max(zone) as zone,
    max(region) as region,
    cast(count(*) as {{ dbt.type_bigint() }}) as implantations,
    cast({{ count_where('est_active') }} as {{ dbt.type_bigint() }}) as implantations_actives,
    cast(count(distinct entreprise_id) as {{ dbt.type_bigint() }}) as entreprises,
    {{ rounded('sum(surface_ha)', 12, 2) }} as surface_ha,
    {{ rounded('sum(investissement)', 18, 2) }} as investissement,
    max(exportee_le) as exportee_le
from {{ ref('fait_implantations') }}
group by zone_id, annee, mois
