select
    zone_id,
    annee,
    mois,
    cast(count(*) as {{ dbt.type_bigint() }}) as declarations,
    cast(sum(emplois_crees) as {{ dbt.type_bigint() }}) as emplois_crees,
    cast(sum(emplois_femmes) as {{ dbt.type_bigint() }}) as emplois_femmes,
    {{ ratio('sum(emplois_femmes)', 'sum(emplois_crees)', 5, 4) }} as part_femmes,
    max(exportee_le) as exportee_le
from {{ ref('fait_emplois_crees') }}
group by zone_id, annee, mois
